ALTER TABLE memberships DROP COLUMN invited_as;
ALTER TABLE memberships DROP COLUMN by_password;
ALTER TABLE people DROP COLUMN confirmed;

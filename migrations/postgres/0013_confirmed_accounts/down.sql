ALTER TABLE people DROP COLUMN confirmed;

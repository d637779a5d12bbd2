-- Whether the password is of whoever reads the mail of the address, or of an operator's making. One that a tenant's
-- administrator chose for an address opens no other tenant.
ALTER TABLE people ADD COLUMN confirmed BOOLEAN NOT NULL DEFAULT FALSE;

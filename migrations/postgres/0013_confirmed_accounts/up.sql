-- Whether the password is of whoever reads the mail of the address, or of an operator's making. One that a tenant's
-- administrator chose for an address opens no other tenant.
ALTER TABLE people ADD COLUMN confirmed BOOLEAN NOT NULL DEFAULT FALSE;

-- Whether the person comes to the tenant with a password: not who came from an identity provider and was never asked.
ALTER TABLE memberships ADD COLUMN by_password BOOLEAN NOT NULL DEFAULT TRUE;
UPDATE memberships SET by_password = FALSE WHERE federated
    AND NOT EXISTS (SELECT 1 FROM people WHERE people.id = memberships.person_id AND people.password_hash IS NOT NULL);

-- Name, language and time zone that an invitation was sent with. Whose account it is says them, once it is accepted.
ALTER TABLE memberships ADD COLUMN invited_as JSONB;

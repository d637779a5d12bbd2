-- What a contact hears of, and when its next digest is due, where there is anything for it.
ALTER TABLE tenant_contacts ADD COLUMN opened BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE tenant_contacts ADD COLUMN updated BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE tenant_contacts ADD COLUMN ended BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE tenant_contacts ADD COLUMN reported BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE tenant_contacts ADD COLUMN digest BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE tenant_contacts ADD COLUMN digest_due_at TIMESTAMPTZ;
CREATE INDEX tenant_contacts_email ON tenant_contacts (email);
CREATE INDEX tenant_contacts_id ON tenant_contacts (id);
CREATE INDEX tenant_contacts_due ON tenant_contacts (digest_due_at) WHERE digest_due_at IS NOT NULL;

-- What a contact hears of, and when its next digest is due, where there is anything for it.
ALTER TABLE tenant_contacts ADD COLUMN opened INTEGER NOT NULL DEFAULT 1;
ALTER TABLE tenant_contacts ADD COLUMN updated INTEGER NOT NULL DEFAULT 1;
ALTER TABLE tenant_contacts ADD COLUMN ended INTEGER NOT NULL DEFAULT 1;
ALTER TABLE tenant_contacts ADD COLUMN reported INTEGER NOT NULL DEFAULT 1;
ALTER TABLE tenant_contacts ADD COLUMN digest INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenant_contacts ADD COLUMN digest_due_at INTEGER;
CREATE INDEX tenant_contacts_email ON tenant_contacts (email);
CREATE INDEX tenant_contacts_id ON tenant_contacts (id);
CREATE INDEX tenant_contacts_due ON tenant_contacts (digest_due_at) WHERE digest_due_at IS NOT NULL;

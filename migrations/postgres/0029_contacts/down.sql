DROP INDEX tenant_contacts_due;
DROP INDEX tenant_contacts_id;
DROP INDEX tenant_contacts_email;
ALTER TABLE tenant_contacts DROP COLUMN digest_due_at;
ALTER TABLE tenant_contacts DROP COLUMN digest;
ALTER TABLE tenant_contacts DROP COLUMN reported;
ALTER TABLE tenant_contacts DROP COLUMN ended;
ALTER TABLE tenant_contacts DROP COLUMN updated;
ALTER TABLE tenant_contacts DROP COLUMN opened;

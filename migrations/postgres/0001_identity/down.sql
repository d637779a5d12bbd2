DROP TABLE idempotency_keys;
DROP TABLE signing_keys;
DROP TABLE tenant_contacts;
DROP TABLE memberships;
DROP TABLE people;
DROP TABLE tenants;

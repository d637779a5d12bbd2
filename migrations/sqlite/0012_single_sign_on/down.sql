ALTER TABLE memberships DROP COLUMN federated;
ALTER TABLE sessions DROP COLUMN provider_id;
DROP TABLE external_identities;
DROP TABLE identity_providers;

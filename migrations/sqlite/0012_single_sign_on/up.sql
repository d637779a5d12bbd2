-- OpenID Connect issuers whose people sign in: a tenant's, or the provider's own for its staff.
CREATE TABLE identity_providers (
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    sealed_secret TEXT,
    scopes TEXT NOT NULL,
    audience TEXT,
    role_claim TEXT NOT NULL,
    roles TEXT NOT NULL,
    domains TEXT NOT NULL,
    disabled INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE INDEX identity_providers_id ON identity_providers (id);
CREATE INDEX identity_providers_issuer ON identity_providers (issuer);

-- Who an issuer's subject is here.
CREATE TABLE external_identities (
    tenant_id BLOB NOT NULL,
    provider_id BLOB NOT NULL,
    subject TEXT NOT NULL,
    person_id BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, provider_id, subject),
    FOREIGN KEY (tenant_id, provider_id) REFERENCES identity_providers (tenant_id, id),
    FOREIGN KEY (tenant_id, person_id) REFERENCES memberships (tenant_id, person_id)
) STRICT;
CREATE INDEX external_identities_person ON external_identities (tenant_id, person_id);

-- By which provider somebody signed in. It stays when the provider is gone: then the session is over.
ALTER TABLE sessions ADD COLUMN provider_id BLOB;
-- Whether an identity provider vouches for the member, who then needs no password.
ALTER TABLE memberships ADD COLUMN federated INTEGER NOT NULL DEFAULT 0;

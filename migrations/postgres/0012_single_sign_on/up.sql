-- OpenID Connect issuers whose people sign in: a tenant's, or the provider's own for its staff.
CREATE TABLE identity_providers (
    tenant_id UUID NOT NULL REFERENCES tenants (id),
    id UUID NOT NULL,
    name TEXT NOT NULL,
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    sealed_secret TEXT,
    scopes JSONB NOT NULL,
    audience TEXT,
    role_claim TEXT NOT NULL,
    roles JSONB NOT NULL,
    domains JSONB NOT NULL,
    disabled BOOLEAN NOT NULL,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX identity_providers_id ON identity_providers (id);
CREATE INDEX identity_providers_issuer ON identity_providers (issuer);

-- Who an issuer's subject is here.
CREATE TABLE external_identities (
    tenant_id UUID NOT NULL,
    provider_id UUID NOT NULL,
    subject TEXT NOT NULL,
    person_id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, provider_id, subject),
    FOREIGN KEY (tenant_id, provider_id) REFERENCES identity_providers (tenant_id, id),
    FOREIGN KEY (tenant_id, person_id) REFERENCES memberships (tenant_id, person_id)
);
CREATE INDEX external_identities_person ON external_identities (tenant_id, person_id);

-- By which provider somebody signed in. It stays when the provider is gone: then the session is over.
ALTER TABLE sessions ADD COLUMN provider_id UUID;
-- Whether an identity provider vouches for the member, who then needs no password.
ALTER TABLE memberships ADD COLUMN federated BOOLEAN NOT NULL DEFAULT FALSE;

ALTER TABLE memberships ADD COLUMN disabled BOOLEAN NOT NULL DEFAULT FALSE;
-- Whoever has an account already is asked before belonging to one more tenant.
ALTER TABLE memberships ADD COLUMN accepted BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE memberships ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE memberships ADD COLUMN updated_at TIMESTAMPTZ NOT NULL DEFAULT '1970-01-01T00:00:00Z';
UPDATE memberships SET updated_at = created_at;

-- Somebody signed in: a family of refresh tokens, each used once.
CREATE TABLE sessions (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    person_id UUID NOT NULL,
    address TEXT NOT NULL,
    agent TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    last_used_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, person_id) REFERENCES memberships (tenant_id, person_id)
);
CREATE INDEX sessions_person ON sessions (tenant_id, person_id, id);
CREATE INDEX sessions_age ON sessions (expires_at);

CREATE TABLE refresh_tokens (
    tenant_id UUID NOT NULL,
    session_id UUID NOT NULL,
    digest TEXT NOT NULL,
    used_at TIMESTAMPTZ,
    expires_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, session_id, digest),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id)
);

-- What is sent by mail to prove that somebody reads it: an invitation, a new password. Deleted with its use.
CREATE TABLE mailed_tokens (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('invitation', 'password_reset')),
    person_id UUID NOT NULL,
    digest TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, person_id) REFERENCES memberships (tenant_id, person_id)
);
CREATE INDEX mailed_tokens_person ON mailed_tokens (tenant_id, person_id);
CREATE INDEX mailed_tokens_age ON mailed_tokens (expires_at);

-- A second factor (RFC 6238) is asked for once it is confirmed.
CREATE TABLE second_factors (
    person_id UUID NOT NULL PRIMARY KEY REFERENCES people (id),
    sealed TEXT NOT NULL,
    confirmed_at TIMESTAMPTZ,
    last_step INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE recovery_codes (
    person_id UUID NOT NULL REFERENCES people (id),
    digest TEXT NOT NULL,
    PRIMARY KEY (person_id, digest)
);

-- A key acts as a person of its own: same id, no password, a membership with the role.
CREATE TABLE api_keys (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    hint TEXT NOT NULL,
    scopes JSONB NOT NULL,
    created_by UUID NOT NULL REFERENCES people (id),
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    last_used_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, id) REFERENCES memberships (tenant_id, person_id)
);

ALTER TABLE memberships ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;
-- Whoever has an account already is asked before belonging to one more tenant.
ALTER TABLE memberships ADD COLUMN accepted INTEGER NOT NULL DEFAULT 1;
ALTER TABLE memberships ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE memberships ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
UPDATE memberships SET updated_at = created_at;

-- Somebody signed in: a family of refresh tokens, each used once.
CREATE TABLE sessions (
    tenant_id BLOB NOT NULL,
    id BLOB NOT NULL,
    person_id BLOB NOT NULL,
    address TEXT NOT NULL,
    agent TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, person_id) REFERENCES memberships (tenant_id, person_id)
) STRICT;
CREATE INDEX sessions_person ON sessions (tenant_id, person_id, id);
CREATE INDEX sessions_age ON sessions (expires_at);

CREATE TABLE refresh_tokens (
    tenant_id BLOB NOT NULL,
    session_id BLOB NOT NULL,
    digest TEXT NOT NULL,
    used_at INTEGER,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, session_id, digest),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id)
) STRICT;

-- What is sent by mail to prove that somebody reads it: an invitation, a new password. Deleted with its use.
CREATE TABLE mailed_tokens (
    tenant_id BLOB NOT NULL,
    id BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('invitation', 'password_reset')),
    person_id BLOB NOT NULL,
    digest TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, person_id) REFERENCES memberships (tenant_id, person_id)
) STRICT;
CREATE INDEX mailed_tokens_person ON mailed_tokens (tenant_id, person_id);
CREATE INDEX mailed_tokens_age ON mailed_tokens (expires_at);

-- A second factor (RFC 6238) is asked for once it is confirmed.
CREATE TABLE second_factors (
    person_id BLOB NOT NULL PRIMARY KEY REFERENCES people (id),
    sealed TEXT NOT NULL,
    confirmed_at INTEGER,
    last_step INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE recovery_codes (
    person_id BLOB NOT NULL REFERENCES people (id),
    digest TEXT NOT NULL,
    PRIMARY KEY (person_id, digest)
) STRICT;

-- A key acts as a person of its own: same id, no password, a membership with the role.
CREATE TABLE api_keys (
    tenant_id BLOB NOT NULL,
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    hint TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_by BLOB NOT NULL REFERENCES people (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, id) REFERENCES memberships (tenant_id, person_id)
) STRICT;

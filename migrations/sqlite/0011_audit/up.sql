-- Where an event came from, and the seal it gets: a salted digest of what was written, and its link in the chain of its
-- tenant. Events from before this have neither; they get both when they are sealed.
ALTER TABLE events ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN salt TEXT;
ALTER TABLE events ADD COLUMN digest TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN chain_seq INTEGER;
ALTER TABLE events ADD COLUMN chain_hash TEXT;
CREATE INDEX events_unsealed ON events (tenant_id, id) WHERE chain_seq IS NULL;
CREATE UNIQUE INDEX events_chain ON events (tenant_id, chain_seq) WHERE chain_seq IS NOT NULL;
-- What the audit is searched by. Of sealed events alone: whoever writes one does not wait for these.
CREATE INDEX events_newest ON events (id) WHERE chain_seq IS NOT NULL;
CREATE INDEX events_actor ON events (actor_id, id) WHERE chain_seq IS NOT NULL;
CREATE INDEX events_subject ON events (subject_id, id) WHERE chain_seq IS NOT NULL;
CREATE INDEX events_kind ON events (kind, id) WHERE chain_seq IS NOT NULL;
CREATE INDEX events_kind_of_tenant ON events (tenant_id, kind, id) WHERE chain_seq IS NOT NULL;

-- Where the chain of each tenant ends, and a seal over that.
CREATE TABLE audit_heads (
    tenant_id BLOB NOT NULL PRIMARY KEY REFERENCES tenants (id),
    chain_seq INTEGER NOT NULL,
    chain_hash TEXT NOT NULL,
    seal TEXT NOT NULL
) STRICT;

-- How often an address was refused in a minute. Installation-wide: who tries is nobody yet.
CREATE TABLE refusal_counts (
    network TEXT NOT NULL,
    kind TEXT NOT NULL,
    minute INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (network, kind, minute)
) STRICT;
CREATE INDEX refusal_counts_age ON refusal_counts (minute);

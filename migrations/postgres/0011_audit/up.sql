-- Where an event came from, and the seal it gets: a salted digest of what was written, and its link in the chain of its
-- tenant. Events from before this have neither; they get both when they are sealed.
ALTER TABLE events ADD COLUMN address text NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN salt text;
ALTER TABLE events ADD COLUMN digest text NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN chain_seq bigint;
ALTER TABLE events ADD COLUMN chain_hash text;
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
    tenant_id uuid PRIMARY KEY REFERENCES tenants (id),
    chain_seq bigint NOT NULL,
    chain_hash text NOT NULL,
    seal text NOT NULL
);

-- How often an address was refused in a minute. Installation-wide: who tries is nobody yet.
CREATE TABLE refusal_counts (
    network text NOT NULL,
    kind text NOT NULL,
    minute timestamptz NOT NULL,
    count integer NOT NULL,
    PRIMARY KEY (network, kind, minute)
);
CREATE INDEX refusal_counts_age ON refusal_counts (minute);

-- Append-only: history, audit, and what the readers of the journal act on.
CREATE TABLE events (
    tenant_id UUID NOT NULL REFERENCES tenants (id),
    id UUID NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id UUID NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    actor_side TEXT NOT NULL CHECK (actor_side IN ('tenant', 'staff', 'system')),
    actor_id UUID,
    actor_name TEXT NOT NULL,
    internal BOOLEAN NOT NULL,
    data JSONB NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, subject_id, seq)
);

-- One row for each reader that still has to act on an event; deleted with the effect.
CREATE TABLE unread_events (
    tenant_id UUID NOT NULL,
    reader TEXT NOT NULL,
    event_id UUID NOT NULL,
    subject_id UUID NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, reader, event_id),
    FOREIGN KEY (tenant_id, event_id) REFERENCES events (tenant_id, id)
);
CREATE INDEX unread_events_in_order ON unread_events (reader, event_id);
CREATE INDEX unread_events_subject ON unread_events (tenant_id, reader, subject_id, seq);

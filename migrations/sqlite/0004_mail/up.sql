CREATE TABLE broadcasts (
    id BLOB NOT NULL PRIMARY KEY,
    incident_id BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('incident_opened', 'incident_updated', 'incident_resolved', 'incident_reopened', 'incident_false_positive', 'incident_reported')),
    seq INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'expanding', 'sending', 'finished', 'cancelled')),
    phase TEXT NOT NULL CHECK (phase IN ('requesters', 'watchers', 'contacts', 'told', 'done')),
    after_tenant BLOB,
    after_key TEXT NOT NULL,
    audience INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    UNIQUE (incident_id, seq)
) STRICT;
CREATE INDEX broadcasts_state ON broadcasts (state, id);

-- The ledger: one message to one recipient. event_id is the broadcast's id, or that of the request's event.
CREATE TABLE deliveries (
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    event_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    incident_id BLOB,
    request_id BLOB,
    recipient TEXT NOT NULL,
    name TEXT NOT NULL,
    locale TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'leased', 'sent', 'failed', 'suppressed')),
    priority INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    lease_owner BLOB,
    lease_until INTEGER,
    error TEXT,
    created_at INTEGER NOT NULL,
    sent_at INTEGER,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, event_id, recipient)
) STRICT;
CREATE INDEX deliveries_id ON deliveries (id);
CREATE INDEX deliveries_request ON deliveries (tenant_id, request_id);
CREATE INDEX deliveries_state ON deliveries (state, id);
CREATE INDEX deliveries_due ON deliveries (state, priority, next_attempt_at, id);
CREATE INDEX deliveries_event ON deliveries (event_id, state);
CREATE INDEX deliveries_incident ON deliveries (incident_id, tenant_id, recipient);

-- Told it began: so told it ended.
CREATE TABLE told (
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    incident_id BLOB NOT NULL,
    recipient TEXT NOT NULL,
    name TEXT NOT NULL,
    locale TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, incident_id, recipient)
) STRICT;
CREATE INDEX told_incident ON told (incident_id, tenant_id, recipient);

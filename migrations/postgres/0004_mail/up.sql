CREATE TABLE broadcasts (
    id UUID NOT NULL PRIMARY KEY,
    incident_id UUID NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('incident_opened', 'incident_updated', 'incident_resolved', 'incident_reopened', 'incident_false_positive', 'incident_reported')),
    seq INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'expanding', 'sending', 'finished', 'cancelled')),
    phase TEXT NOT NULL CHECK (phase IN ('requesters', 'watchers', 'contacts', 'told', 'done')),
    after_tenant UUID,
    after_key TEXT NOT NULL,
    audience INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    UNIQUE (incident_id, seq)
);
CREATE INDEX broadcasts_state ON broadcasts (state, id);

-- The ledger: one message to one recipient. event_id is the broadcast's id, or that of the request's event.
CREATE TABLE deliveries (
    tenant_id UUID NOT NULL REFERENCES tenants (id),
    id UUID NOT NULL,
    event_id UUID NOT NULL,
    kind TEXT NOT NULL,
    incident_id UUID,
    request_id UUID,
    recipient TEXT NOT NULL,
    name TEXT NOT NULL,
    locale TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'leased', 'sent', 'failed', 'suppressed')),
    priority SMALLINT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at TIMESTAMPTZ NOT NULL,
    lease_owner UUID,
    lease_until TIMESTAMPTZ,
    error TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    sent_at TIMESTAMPTZ,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, event_id, recipient)
);
CREATE INDEX deliveries_id ON deliveries (id);
CREATE INDEX deliveries_request ON deliveries (tenant_id, request_id);
CREATE INDEX deliveries_state ON deliveries (state, id);
CREATE INDEX deliveries_due ON deliveries (state, priority, next_attempt_at, id);
CREATE INDEX deliveries_event ON deliveries (event_id, state);
CREATE INDEX deliveries_incident ON deliveries (incident_id, tenant_id, recipient);

-- Told it began: so told it ended.
CREATE TABLE told (
    tenant_id UUID NOT NULL REFERENCES tenants (id),
    incident_id UUID NOT NULL,
    recipient TEXT NOT NULL,
    name TEXT NOT NULL,
    locale TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, incident_id, recipient)
);
CREATE INDEX told_incident ON told (incident_id, tenant_id, recipient);

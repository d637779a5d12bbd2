-- revision counts every change and guards every save; version counts those that the tenant sees.
CREATE TABLE service_requests (
    tenant_id UUID NOT NULL REFERENCES tenants (id),
    id UUID NOT NULL,
    reference TEXT NOT NULL,
    revision INTEGER NOT NULL,
    version INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'in_progress', 'pending_customer', 'on_hold', 'resolved', 'closed', 'merged', 'cancelled', 'rejected')),
    is_open BOOLEAN NOT NULL,
    resolution_cause TEXT CHECK (resolution_cause IN ('agent', 'incident', 'requester')),
    hold_reason TEXT CHECK (hold_reason IN ('incident', 'vendor', 'change')),
    incident_id UUID REFERENCES incidents (id),
    incident_resolution INTEGER,
    pinned BOOLEAN NOT NULL,
    detached BOOLEAN NOT NULL,
    service TEXT NOT NULL REFERENCES services (slug),
    region TEXT NOT NULL REFERENCES regions (slug),
    severity TEXT NOT NULL CHECK (severity IN ('a', 'b', 'c', 'd')),
    subject TEXT NOT NULL,
    description TEXT NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('admin_center', 'telephone', 'email', 'api')),
    requester_id UUID NOT NULL REFERENCES people (id),
    contact JSONB NOT NULL,
    tags JSONB NOT NULL,
    queue_id UUID NOT NULL REFERENCES queues (id),
    assignee_id UUID REFERENCES people (id),
    follow_up_of UUID,
    resolved_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (reference, tenant_id),
    FOREIGN KEY (tenant_id, follow_up_of) REFERENCES service_requests (tenant_id, id)
);
CREATE INDEX service_requests_id ON service_requests (id);
CREATE INDEX service_requests_line ON service_requests (queue_id, status, severity, id);
CREATE INDEX service_requests_open ON service_requests (queue_id, is_open, severity, id);
CREATE INDEX service_requests_incident ON service_requests (incident_id, is_open, tenant_id, id);
CREATE INDEX service_requests_resolved ON service_requests (status, resolved_at);

CREATE TABLE request_comments (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    request_id UUID NOT NULL,
    visibility TEXT NOT NULL CHECK (visibility IN ('public', 'internal')),
    body TEXT NOT NULL,
    author_id UUID NOT NULL REFERENCES people (id),
    author_name TEXT NOT NULL,
    author_side TEXT NOT NULL CHECK (author_side IN ('tenant', 'staff')),
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, request_id) REFERENCES service_requests (tenant_id, id)
);
CREATE INDEX request_comments_request ON request_comments (tenant_id, request_id, id);

CREATE TABLE request_watchers (
    tenant_id UUID NOT NULL,
    request_id UUID NOT NULL,
    email TEXT NOT NULL,
    added_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, request_id, email),
    FOREIGN KEY (tenant_id, request_id) REFERENCES service_requests (tenant_id, id)
);

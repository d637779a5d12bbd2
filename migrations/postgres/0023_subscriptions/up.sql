-- Of which events somebody hears, on behalf of a tenant.
CREATE TABLE notification_preferences (
    tenant_id UUID NOT NULL REFERENCES tenants (id),
    person_id UUID NOT NULL REFERENCES people (id),
    opened BOOLEAN NOT NULL,
    updated BOOLEAN NOT NULL,
    ended BOOLEAN NOT NULL,
    reported BOOLEAN NOT NULL,
    version INTEGER NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, person_id)
);

-- Of what: of one incident, or of those that hit a service and a region, of which NULL is any.
CREATE TABLE subscriptions (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    person_id UUID NOT NULL,
    incident_id UUID,
    service TEXT,
    region TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, person_id) REFERENCES notification_preferences (tenant_id, person_id)
);
CREATE INDEX subscriptions_person ON subscriptions (tenant_id, person_id);

-- Addresses that want no more of it. about: the tenant itself for everything, an incident, a request.
CREATE TABLE opt_outs (
    tenant_id UUID NOT NULL REFERENCES tenants (id),
    recipient TEXT NOT NULL,
    about UUID NOT NULL,
    extent TEXT NOT NULL CHECK (extent IN ('everything', 'incident', 'request')),
    at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, recipient, about)
);
CREATE INDEX opt_outs_recipient ON opt_outs (recipient);

-- Where the audience of an incident goes on.
CREATE INDEX service_requests_audience ON service_requests (incident_id, tenant_id, id);

-- What goes on as an incident.
CREATE INDEX incidents_duplicate_of ON incidents (duplicate_of) WHERE duplicate_of IS NOT NULL;

-- How many mails an address got lately, of whomever.
CREATE INDEX deliveries_recipient ON deliveries (recipient, sent_at);

ALTER TABLE broadcasts DROP CONSTRAINT broadcasts_phase_check;
ALTER TABLE broadcasts ADD CONSTRAINT broadcasts_phase_check CHECK (phase IN ('requesters', 'watchers', 'contacts', 'subscribers', 'told', 'done'));

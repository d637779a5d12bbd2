-- Of which events somebody hears, on behalf of a tenant.
CREATE TABLE notification_preferences (
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    person_id BLOB NOT NULL REFERENCES people (id),
    opened INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    reported INTEGER NOT NULL,
    version INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, person_id)
) STRICT;

-- Of what: of one incident, or of those that hit a service and a region, of which NULL is any.
CREATE TABLE subscriptions (
    tenant_id BLOB NOT NULL,
    id BLOB NOT NULL,
    person_id BLOB NOT NULL,
    incident_id BLOB,
    service TEXT,
    region TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, person_id) REFERENCES notification_preferences (tenant_id, person_id)
) STRICT;
CREATE INDEX subscriptions_person ON subscriptions (tenant_id, person_id);

-- Addresses that want no more of it. about: the tenant itself for everything, an incident, a request.
CREATE TABLE opt_outs (
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    recipient TEXT NOT NULL,
    about BLOB NOT NULL,
    extent TEXT NOT NULL CHECK (extent IN ('everything', 'incident', 'request')),
    at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, recipient, about)
) STRICT;
CREATE INDEX opt_outs_recipient ON opt_outs (recipient);

-- Where the audience of an incident goes on.
CREATE INDEX service_requests_audience ON service_requests (incident_id, tenant_id, id);

-- What goes on as an incident.
CREATE INDEX incidents_duplicate_of ON incidents (duplicate_of) WHERE duplicate_of IS NOT NULL;

-- How many mails an address got lately, of whomever.
CREATE INDEX deliveries_recipient ON deliveries (recipient, sent_at);

DROP INDEX broadcasts_state;
ALTER TABLE broadcasts RENAME TO broadcasts_before;
CREATE TABLE broadcasts (
    id BLOB NOT NULL PRIMARY KEY,
    incident_id BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('incident_opened', 'incident_updated', 'incident_resolved', 'incident_reopened', 'incident_false_positive', 'incident_duplicate', 'incident_reported')),
    seq INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'expanding', 'sending', 'finished', 'cancelled')),
    phase TEXT NOT NULL CHECK (phase IN ('requesters', 'watchers', 'contacts', 'subscribers', 'told', 'done')),
    after_tenant BLOB,
    after_key TEXT NOT NULL,
    audience INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    leaves_at INTEGER,
    UNIQUE (incident_id, seq)
) STRICT;
INSERT INTO broadcasts SELECT id, incident_id, kind, seq, state, phase, after_tenant, after_key, audience, created_at, finished_at, leaves_at FROM broadcasts_before;
DROP TABLE broadcasts_before;
CREATE INDEX broadcasts_state ON broadcasts (state, id);

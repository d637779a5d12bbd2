-- standing sorts the list: 0 active, 1 draft, 2 over.
CREATE TABLE incidents (
    id BLOB NOT NULL PRIMARY KEY,
    title TEXT NOT NULL,
    impact TEXT NOT NULL CHECK (impact IN ('advisory', 'degradation', 'interruption')),
    status TEXT NOT NULL CHECK (status IN ('draft', 'investigating', 'identified', 'monitoring', 'resolved', 'reviewed', 'false_positive', 'duplicate', 'cancelled')),
    standing INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    resolved_at INTEGER,
    follows BLOB REFERENCES incidents (id),
    duplicate_of BLOB REFERENCES incidents (id),
    next_update_by INTEGER,
    last_seq INTEGER NOT NULL,
    resolution INTEGER NOT NULL,
    cascade_state TEXT NOT NULL CHECK (cascade_state IN ('none', 'running', 'finished')),
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX incidents_list ON incidents (standing, id);
CREATE INDEX incidents_follows ON incidents (follows);
CREATE INDEX incidents_cascade ON incidents (cascade_state, id);

CREATE TABLE incident_services (
    incident_id BLOB NOT NULL REFERENCES incidents (id),
    service TEXT NOT NULL REFERENCES services (slug),
    PRIMARY KEY (incident_id, service)
) STRICT;
CREATE INDEX incident_services_service ON incident_services (service, incident_id);

CREATE TABLE incident_regions (
    incident_id BLOB NOT NULL REFERENCES incidents (id),
    region TEXT NOT NULL REFERENCES regions (slug),
    PRIMARY KEY (incident_id, region)
) STRICT;

-- The public timeline, append-only.
CREATE TABLE incident_updates (
    incident_id BLOB NOT NULL REFERENCES incidents (id),
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    status TEXT NOT NULL,
    body TEXT NOT NULL,
    author_id BLOB NOT NULL REFERENCES people (id),
    next_update_by INTEGER,
    corrects INTEGER,
    PRIMARY KEY (incident_id, seq)
) STRICT;

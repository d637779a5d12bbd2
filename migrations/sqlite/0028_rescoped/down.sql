-- The code before knows no such kind.
UPDATE deliveries SET reason = 'bounced' WHERE reason = 'suppressed';
UPDATE broadcasts SET kind = 'incident_updated' WHERE kind = 'incident_rescoped';
UPDATE deliveries SET kind = 'incident_updated' WHERE kind = 'incident_rescoped';
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

-- The code before knows no such reasons.
UPDATE deliveries SET reason = 'superseded' WHERE reason IN ('unwanted', 'daily_cap');
UPDATE broadcasts SET phase = 'told', after_tenant = NULL, after_key = '' WHERE phase = 'subscribers';
DROP INDEX broadcasts_state;
ALTER TABLE broadcasts RENAME TO broadcasts_after;
CREATE TABLE broadcasts (
    id BLOB NOT NULL PRIMARY KEY,
    incident_id BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('incident_opened', 'incident_updated', 'incident_resolved', 'incident_reopened', 'incident_false_positive', 'incident_duplicate', 'incident_reported')),
    seq INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'expanding', 'sending', 'finished', 'cancelled')),
    phase TEXT NOT NULL CHECK (phase IN ('requesters', 'watchers', 'contacts', 'told', 'done')),
    after_tenant BLOB,
    after_key TEXT NOT NULL,
    audience INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    leaves_at INTEGER,
    UNIQUE (incident_id, seq)
) STRICT;
INSERT INTO broadcasts SELECT id, incident_id, kind, seq, state, phase, after_tenant, after_key, audience, created_at, finished_at, leaves_at FROM broadcasts_after;
DROP TABLE broadcasts_after;
CREATE INDEX broadcasts_state ON broadcasts (state, id);
DROP INDEX deliveries_recipient;
DROP INDEX incidents_duplicate_of;
DROP INDEX service_requests_audience;
DROP TABLE opt_outs;
DROP TABLE subscriptions;
DROP TABLE notification_preferences;

DELETE FROM broadcasts WHERE kind = 'incident_duplicate';
ALTER TABLE broadcasts DROP CONSTRAINT broadcasts_kind_check;
ALTER TABLE broadcasts ADD CONSTRAINT broadcasts_kind_check CHECK (kind IN ('incident_opened', 'incident_updated', 'incident_resolved', 'incident_reopened', 'incident_false_positive', 'incident_reported'));
ALTER TABLE broadcasts DROP COLUMN leaves_at;
DROP INDEX deliveries_event;
CREATE INDEX deliveries_event ON deliveries (event_id, state);
ALTER TABLE deliveries DROP COLUMN reason;

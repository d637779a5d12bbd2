-- The code before knows no such kind.
UPDATE deliveries SET reason = 'bounced' WHERE reason = 'suppressed';
UPDATE broadcasts SET kind = 'incident_updated' WHERE kind = 'incident_rescoped';
UPDATE deliveries SET kind = 'incident_updated' WHERE kind = 'incident_rescoped';
ALTER TABLE broadcasts DROP CONSTRAINT broadcasts_kind_check;
ALTER TABLE broadcasts ADD CONSTRAINT broadcasts_kind_check CHECK (kind IN ('incident_opened', 'incident_updated', 'incident_resolved', 'incident_reopened', 'incident_false_positive', 'incident_duplicate', 'incident_reported'));

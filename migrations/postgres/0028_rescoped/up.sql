-- An address that takes no mail is suppressed.
UPDATE deliveries SET reason = 'suppressed' WHERE reason = 'bounced';

-- What an incident affects is no longer what it was: told like an update, and to everyone who was told.
ALTER TABLE broadcasts DROP CONSTRAINT broadcasts_kind_check;
ALTER TABLE broadcasts ADD CONSTRAINT broadcasts_kind_check CHECK (kind IN ('incident_opened', 'incident_updated', 'incident_rescoped', 'incident_resolved', 'incident_reopened', 'incident_false_positive', 'incident_duplicate', 'incident_reported'));

-- Why a message was not sent: a suppressed row without a reason would be one that was forgotten.
ALTER TABLE deliveries ADD COLUMN reason TEXT;
UPDATE deliveries SET reason = 'erased' WHERE state = 'suppressed';

-- How many messages of an event are in each state, and how many were sent lately, out of the index alone.
DROP INDEX deliveries_event;
CREATE INDEX deliveries_event ON deliveries (event_id, state, sent_at);

-- An incident that goes on as another one is told of like every end. leaves_at: nothing of it leaves before.
ALTER TABLE broadcasts ADD COLUMN leaves_at TIMESTAMPTZ;
ALTER TABLE broadcasts DROP CONSTRAINT broadcasts_kind_check;
ALTER TABLE broadcasts ADD CONSTRAINT broadcasts_kind_check CHECK (kind IN ('incident_opened', 'incident_updated', 'incident_resolved', 'incident_reopened', 'incident_false_positive', 'incident_duplicate', 'incident_reported'));

-- Whether somebody gets updates together, once a day; and when they do next, where there are any.
ALTER TABLE notification_preferences ADD COLUMN digest BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE notification_preferences ADD COLUMN digest_due_at TIMESTAMPTZ;
CREATE INDEX notification_preferences_due ON notification_preferences (digest_due_at) WHERE digest_due_at IS NOT NULL;
-- What somebody has said, on whosever behalf.
CREATE INDEX notification_preferences_person ON notification_preferences (person_id);

-- The event whose mail to the same recipient says what was kept back for it.
ALTER TABLE deliveries ADD COLUMN carried_by UUID;
CREATE INDEX deliveries_carried ON deliveries (carried_by, recipient) WHERE carried_by IS NOT NULL;
-- What is kept back for somebody, and said in no mail yet.
CREATE INDEX deliveries_kept ON deliveries (recipient, reason) WHERE reason IS NOT NULL AND carried_by IS NULL;

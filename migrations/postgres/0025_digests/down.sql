-- The code before knows no such reason.
UPDATE deliveries SET reason = 'superseded' WHERE reason = 'digest';
DROP INDEX deliveries_kept;
DROP INDEX deliveries_carried;
ALTER TABLE deliveries DROP COLUMN carried_by;
DROP INDEX notification_preferences_person;
DROP INDEX notification_preferences_due;
ALTER TABLE notification_preferences DROP COLUMN digest_due_at;
ALTER TABLE notification_preferences DROP COLUMN digest;

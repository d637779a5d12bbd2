-- The code before knows no such reasons.
UPDATE deliveries SET reason = 'superseded' WHERE reason IN ('unwanted', 'daily_cap');
UPDATE broadcasts SET phase = 'told', after_tenant = NULL, after_key = '' WHERE phase = 'subscribers';
ALTER TABLE broadcasts DROP CONSTRAINT broadcasts_phase_check;
ALTER TABLE broadcasts ADD CONSTRAINT broadcasts_phase_check CHECK (phase IN ('requesters', 'watchers', 'contacts', 'told', 'done'));
DROP INDEX deliveries_recipient;
DROP INDEX incidents_duplicate_of;
DROP INDEX service_requests_audience;
DROP TABLE opt_outs;
DROP TABLE subscriptions;
DROP TABLE notification_preferences;

ALTER TABLE service_requests DROP COLUMN assigned_off_duty;
DROP TABLE push_turns;
DROP INDEX service_requests_assignee;
DROP INDEX service_requests_hands;
CREATE INDEX service_requests_line ON service_requests (queue_id, status, severity, id);
DROP TABLE waiting_requests;

ALTER TABLE service_requests DROP COLUMN requester_name;

-- The name that the requester was filed under: whoever else belongs to the address is not this tenant's to know.
ALTER TABLE service_requests ADD COLUMN requester_name TEXT NOT NULL DEFAULT '';
UPDATE service_requests SET requester_name = (SELECT name FROM people WHERE people.id = service_requests.requester_id);

-- What a status mail lists for each reader: their own requests of an incident, and those that they watch.
CREATE INDEX service_requests_requester ON service_requests (incident_id, requester_id, tenant_id);
CREATE INDEX request_watchers_email ON request_watchers (email, tenant_id, request_id);

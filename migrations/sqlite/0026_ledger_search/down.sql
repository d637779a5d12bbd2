DROP INDEX deliveries_of_event;
DROP INDEX deliveries_kind;
DROP INDEX deliveries_error;
DROP INDEX deliveries_reason;
DROP INDEX deliveries_incident;
CREATE INDEX deliveries_incident ON deliveries (incident_id, tenant_id, recipient);
DROP INDEX deliveries_request;
CREATE INDEX deliveries_request ON deliveries (tenant_id, request_id);

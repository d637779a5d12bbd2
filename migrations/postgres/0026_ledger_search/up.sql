-- The ledger is listed by id, whatever is asked of it. Status mail belongs to no request, and few messages have an error
-- or a reason: partial indexes cost the sending of the others nothing. The messages of an event are found among the ids,
-- from its time on: an index of their own would be written with each update.
DROP INDEX deliveries_request;
CREATE INDEX deliveries_request ON deliveries (request_id, id) WHERE request_id IS NOT NULL;
DROP INDEX deliveries_incident;
CREATE INDEX deliveries_incident ON deliveries (incident_id, id) WHERE incident_id IS NOT NULL;
CREATE INDEX deliveries_reason ON deliveries (reason, id) WHERE reason IS NOT NULL;
CREATE INDEX deliveries_error ON deliveries (id) WHERE error IS NOT NULL;
CREATE INDEX deliveries_kind ON deliveries (kind, id);

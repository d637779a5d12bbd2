-- The ledger is listed by id, whatever is asked of it. Status mail belongs to no request, and few messages have an error
-- or a reason: partial indexes cost the sending of the others nothing.
DROP INDEX deliveries_request;
CREATE INDEX deliveries_request ON deliveries (request_id, id) WHERE request_id IS NOT NULL;
CREATE INDEX deliveries_error ON deliveries (id) WHERE error IS NOT NULL;

-- Of these there may be a million each, and SQLite, which does not count, would take them before what is narrower. The
-- condition, which is always so, keeps them for queries that say it too.
DROP INDEX deliveries_incident;
CREATE INDEX deliveries_incident ON deliveries (incident_id, id) WHERE priority >= 0;
CREATE INDEX deliveries_reason ON deliveries (reason, id) WHERE reason IS NOT NULL AND priority >= 0;
CREATE INDEX deliveries_kind ON deliveries (kind, id) WHERE priority >= 0;
CREATE INDEX deliveries_of_event ON deliveries (event_id, id) WHERE priority >= 0;

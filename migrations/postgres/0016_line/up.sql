-- The lines: a row for each request that is queued, in the order in which they are claimed.
-- urgent_at: the earliest deadline of the request, or 9999-12-31 without one; a request that was handed over stands
-- ahead of its severity. since: when it came into this line.
CREATE TABLE waiting_requests (
    tenant_id UUID NOT NULL,
    request_id UUID NOT NULL,
    queue_id UUID NOT NULL REFERENCES queues (id),
    urgent_at TIMESTAMPTZ NOT NULL,
    severity TEXT NOT NULL,
    standing SMALLINT NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, request_id),
    FOREIGN KEY (tenant_id, request_id) REFERENCES service_requests (tenant_id, id)
);
CREATE INDEX waiting_requests_line ON waiting_requests (queue_id, urgent_at, severity, standing, request_id);
INSERT INTO waiting_requests (tenant_id, request_id, queue_id, urgent_at, severity, standing, since)
    SELECT tenant_id, id, queue_id, '9999-12-31T00:00:00Z', severity, 1, updated_at
    FROM service_requests WHERE status = 'queued';

-- Claiming reads the table above. Handing over asks who works on what.
DROP INDEX service_requests_line;
CREATE INDEX service_requests_hands ON service_requests (status, queue_id, assignee_id);

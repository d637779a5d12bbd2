-- The lines: a row for each request that is queued, in the order in which they are claimed.
-- urgent_at: the earliest deadline of the request, or 9999-12-31 without one; a request that was handed over stands
-- ahead of its severity. since: when it came into this line. needs: what it needs of an agent, canonical.
-- home: the queue whose ladder it climbs, since when, how many steps were taken, and when the next one is due.
CREATE TABLE waiting_requests (
    tenant_id UUID NOT NULL,
    request_id UUID NOT NULL,
    queue_id UUID NOT NULL REFERENCES queues (id),
    urgent_at TIMESTAMPTZ NOT NULL,
    severity TEXT NOT NULL,
    standing SMALLINT NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    needs TEXT NOT NULL,
    home_queue_id UUID NOT NULL REFERENCES queues (id),
    home_since TIMESTAMPTZ NOT NULL,
    steps SMALLINT NOT NULL,
    next_step_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (tenant_id, request_id),
    FOREIGN KEY (tenant_id, request_id) REFERENCES service_requests (tenant_id, id)
);
CREATE INDEX waiting_requests_line ON waiting_requests (queue_id, urgent_at, severity, standing, request_id);
CREATE INDEX waiting_requests_needs ON waiting_requests (queue_id, needs, home_queue_id, steps);
CREATE INDEX waiting_requests_step ON waiting_requests (next_step_at);
INSERT INTO waiting_requests
    (tenant_id, request_id, queue_id, urgent_at, severity, standing, since, needs, home_queue_id, home_since, steps, next_step_at)
    SELECT tenant_id, id, queue_id, '9999-12-31T00:00:00Z', severity, 1, updated_at, '{}', queue_id, updated_at, 0, '9999-12-31T00:00:00Z'
    FROM service_requests WHERE status = 'queued';

-- Claiming reads the table above. Handing over asks who works on what, and capacity how much somebody has.
DROP INDEX service_requests_line;
CREATE INDEX service_requests_hands ON service_requests (status, queue_id, assignee_id);
CREATE INDEX service_requests_assignee ON service_requests (assignee_id, is_open, severity);

-- How many turns each of those had who are there, where work is given out.
CREATE TABLE push_turns (
    queue_id UUID NOT NULL REFERENCES queues (id),
    person_id UUID NOT NULL REFERENCES people (id),
    turns BIGINT NOT NULL,
    PRIMARY KEY (queue_id, person_id)
);

-- Given to somebody who was off duty: no end of a shift takes it back.
ALTER TABLE service_requests ADD COLUMN assigned_off_duty BOOLEAN NOT NULL DEFAULT FALSE;

-- Reports read the cycles that stopped in a range, and nothing else of the table: this has all that they look at.
DROP INDEX sla_clocks_stopped;
CREATE INDEX sla_clocks_stopped ON sla_clocks
    (stopped_at, queue_id, clock, severity, plan, state, target_minutes, due_at, breached_at, elapsed, cycle, tenant_id, request_id)
    WHERE stopped_at IS NOT NULL;
-- A request that was reopened begins another cycle of its resolution.
CREATE INDEX sla_clocks_reopened ON sla_clocks (opened_at, tenant_id, request_id, cycle)
    WHERE clock = 'resolution' AND cycle > 1;

DROP INDEX sla_clocks_reopened;
DROP INDEX sla_clocks_stopped;
CREATE INDEX sla_clocks_stopped ON sla_clocks (stopped_at) WHERE stopped_at IS NOT NULL;

-- Clocks that follow other policies do so in the order of their next marks, so that few come late.
DROP INDEX sla_clocks_terms;
CREATE INDEX sla_clocks_terms ON sla_clocks (terms, next_at) WHERE stopped_at IS NULL;

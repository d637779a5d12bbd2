DROP INDEX sla_clocks_terms;
CREATE INDEX sla_clocks_terms ON sla_clocks (terms) WHERE stopped_at IS NULL;

DROP TABLE promises;
DROP TABLE sla_intervals;
DROP TABLE sla_clocks;
DROP TABLE sla_policy_sets;
DROP TABLE calendar_editions;
DROP TABLE calendars;

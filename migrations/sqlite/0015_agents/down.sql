ALTER TABLE routing_rule_sets DROP COLUMN size;
ALTER TABLE service_requests DROP COLUMN needs;
ALTER TABLE queues DROP COLUMN push;
ALTER TABLE queues DROP COLUMN ladder;
DROP TABLE agent_skills;
DROP TABLE agents;

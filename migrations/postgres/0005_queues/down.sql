DROP TABLE routing_rule_sets;
DROP TABLE shift_members;
DROP TABLE shifts;
DROP TABLE queues;

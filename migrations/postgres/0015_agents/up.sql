-- Whether work may be given to one of the provider's people, and how much. Who has no row is available, without limit.
CREATE TABLE agents (
    person_id UUID NOT NULL PRIMARY KEY REFERENCES people (id),
    presence TEXT NOT NULL,
    capacity INTEGER,
    version INTEGER NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- kind: "skill" or "language"; names are in lower case; level: 1 to 5.
CREATE TABLE agent_skills (
    person_id UUID NOT NULL REFERENCES agents (person_id),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    level SMALLINT NOT NULL,
    PRIMARY KEY (person_id, kind, name)
);
CREATE INDEX agent_skills_name ON agent_skills (kind, name);

-- Where a request goes when it is not answered in time, step by step; and whether work is given or only claimed.
ALTER TABLE queues ADD COLUMN ladder JSONB NOT NULL DEFAULT '[]';
ALTER TABLE queues ADD COLUMN push TEXT NOT NULL DEFAULT 'off';

-- What the rule that routed it asks of whoever works on it.
ALTER TABLE service_requests ADD COLUMN needs JSONB NOT NULL DEFAULT '{}';

-- How many rules a set has: lists of sets do not read them.
ALTER TABLE routing_rule_sets ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
UPDATE routing_rule_sets SET size = jsonb_array_length(rules);

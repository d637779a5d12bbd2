CREATE TABLE queues (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL UNIQUE,
    always_on BOOLEAN NOT NULL,
    restricted BOOLEAN NOT NULL,
    fallback_queue_id UUID REFERENCES queues (id),
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- days: "mon,tue"; starts_at and ends_at: local time, "HH:MM".
CREATE TABLE shifts (
    id UUID NOT NULL PRIMARY KEY,
    queue_id UUID NOT NULL REFERENCES queues (id),
    name TEXT NOT NULL,
    days TEXT NOT NULL,
    starts_at TEXT NOT NULL,
    ends_at TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    valid_from TEXT,
    valid_until TEXT
);
CREATE INDEX shifts_queue ON shifts (queue_id, id);

CREATE TABLE shift_members (
    shift_id UUID NOT NULL REFERENCES shifts (id),
    person_id UUID NOT NULL REFERENCES people (id),
    PRIMARY KEY (shift_id, person_id)
);
CREATE INDEX shift_members_person ON shift_members (person_id);

-- Every rule set there ever was; the one with the highest version is in force.
CREATE TABLE routing_rule_sets (
    version INTEGER NOT NULL PRIMARY KEY,
    rules JSONB NOT NULL,
    author_id UUID NOT NULL REFERENCES people (id),
    created_at TIMESTAMPTZ NOT NULL
);

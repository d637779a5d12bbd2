-- How many must be on duty at once.
ALTER TABLE queues ADD COLUMN minimum INTEGER NOT NULL DEFAULT 1;

-- A shift whose teams take turns: rotation_weeks each, beginning in the week of rotation_from, a local date.
ALTER TABLE shifts ADD COLUMN rotation_weeks INTEGER;
ALTER TABLE shifts ADD COLUMN rotation_from TEXT;
ALTER TABLE shifts ADD COLUMN rotation_teams INTEGER;

-- turn: in which team somebody is; 0 where nothing rotates.
ALTER TABLE shift_members ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
ALTER TABLE shift_members ALTER COLUMN turn DROP DEFAULT;
ALTER TABLE shift_members DROP CONSTRAINT shift_members_pkey;
ALTER TABLE shift_members ADD PRIMARY KEY (shift_id, turn, person_id);

-- When somebody does not work, in whatever queue.
CREATE TABLE absences (
    id UUID NOT NULL PRIMARY KEY,
    person_id UUID NOT NULL REFERENCES people (id),
    starts_at TIMESTAMPTZ NOT NULL,
    ends_at TIMESTAMPTZ NOT NULL,
    reason TEXT,
    author_id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX absences_person ON absences (person_id, ends_at);

-- Who works in a queue besides its shifts, and who does not though a shift says so. The later one counts.
CREATE TABLE roster_overrides (
    id UUID NOT NULL PRIMARY KEY,
    queue_id UUID NOT NULL REFERENCES queues (id),
    starts_at TIMESTAMPTZ NOT NULL,
    ends_at TIMESTAMPTZ NOT NULL,
    added_id UUID REFERENCES people (id),
    removed_id UUID REFERENCES people (id),
    author_id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX roster_overrides_queue ON roster_overrides (queue_id, ends_at);
CREATE INDEX roster_overrides_added ON roster_overrides (added_id);

-- Until when a queue may have gaps, and why.
CREATE TABLE coverage_waivers (
    id UUID NOT NULL PRIMARY KEY,
    queue_id UUID NOT NULL REFERENCES queues (id),
    ends_at TIMESTAMPTZ NOT NULL,
    reason TEXT NOT NULL,
    author_id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX coverage_waivers_queue ON coverage_waivers (queue_id, ends_at);

-- What is wrong with a queue and could not be refused.
CREATE TABLE queue_findings (
    queue_id UUID NOT NULL REFERENCES queues (id),
    kind TEXT NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    first_from TIMESTAMPTZ NOT NULL,
    first_to TIMESTAMPTZ NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (queue_id, kind)
);

-- How many must be on duty at once.
ALTER TABLE queues ADD COLUMN minimum INTEGER NOT NULL DEFAULT 1;

-- A shift whose teams take turns: rotation_weeks each, beginning in the week of rotation_from, a local date.
ALTER TABLE shifts ADD COLUMN rotation_weeks INTEGER;
ALTER TABLE shifts ADD COLUMN rotation_from TEXT;
ALTER TABLE shifts ADD COLUMN rotation_teams INTEGER;

-- turn: in which team somebody is; 0 where nothing rotates.
DROP INDEX shift_members_person;
ALTER TABLE shift_members RENAME TO shift_members_before;
CREATE TABLE shift_members (
    shift_id BLOB NOT NULL REFERENCES shifts (id),
    person_id BLOB NOT NULL REFERENCES people (id),
    turn INTEGER NOT NULL,
    PRIMARY KEY (shift_id, turn, person_id)
) STRICT;
INSERT INTO shift_members SELECT shift_id, person_id, 0 FROM shift_members_before;
DROP TABLE shift_members_before;
CREATE INDEX shift_members_person ON shift_members (person_id);

-- When somebody does not work, in whatever queue.
CREATE TABLE absences (
    id BLOB NOT NULL PRIMARY KEY,
    person_id BLOB NOT NULL REFERENCES people (id),
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    reason TEXT,
    author_id BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX absences_person ON absences (person_id, ends_at);

-- Who works in a queue besides its shifts, and who does not though a shift says so. The later one counts.
CREATE TABLE roster_overrides (
    id BLOB NOT NULL PRIMARY KEY,
    queue_id BLOB NOT NULL REFERENCES queues (id),
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    added_id BLOB REFERENCES people (id),
    removed_id BLOB REFERENCES people (id),
    author_id BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX roster_overrides_queue ON roster_overrides (queue_id, ends_at);
CREATE INDEX roster_overrides_added ON roster_overrides (added_id);

-- Until when a queue may have gaps, and why.
CREATE TABLE coverage_waivers (
    id BLOB NOT NULL PRIMARY KEY,
    queue_id BLOB NOT NULL REFERENCES queues (id),
    ends_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    author_id BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX coverage_waivers_queue ON coverage_waivers (queue_id, ends_at);

-- What is wrong with a queue and could not be refused.
CREATE TABLE queue_findings (
    queue_id BLOB NOT NULL REFERENCES queues (id),
    kind TEXT NOT NULL,
    since INTEGER NOT NULL,
    first_from INTEGER NOT NULL,
    first_to INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (queue_id, kind)
) STRICT;

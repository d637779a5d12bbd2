DROP TABLE queue_findings;
DROP TABLE coverage_waivers;
DROP TABLE roster_overrides;
DROP TABLE absences;
DROP INDEX shift_members_person;
ALTER TABLE shift_members RENAME TO shift_members_before;
CREATE TABLE shift_members (
    shift_id BLOB NOT NULL REFERENCES shifts (id),
    person_id BLOB NOT NULL REFERENCES people (id),
    PRIMARY KEY (shift_id, person_id)
) STRICT;
INSERT INTO shift_members SELECT DISTINCT shift_id, person_id FROM shift_members_before;
DROP TABLE shift_members_before;
CREATE INDEX shift_members_person ON shift_members (person_id);
ALTER TABLE shifts DROP COLUMN rotation_teams;
ALTER TABLE shifts DROP COLUMN rotation_from;
ALTER TABLE shifts DROP COLUMN rotation_weeks;
ALTER TABLE queues DROP COLUMN minimum;

DROP TABLE queue_findings;
DROP TABLE coverage_waivers;
DROP TABLE roster_overrides;
DROP TABLE absences;
DELETE FROM shift_members AS later USING shift_members AS earlier
    WHERE later.shift_id = earlier.shift_id AND later.person_id = earlier.person_id AND later.turn > earlier.turn;
ALTER TABLE shift_members DROP CONSTRAINT shift_members_pkey;
ALTER TABLE shift_members DROP COLUMN turn;
ALTER TABLE shift_members ADD PRIMARY KEY (shift_id, person_id);
ALTER TABLE shifts DROP COLUMN rotation_teams;
ALTER TABLE shifts DROP COLUMN rotation_from;
ALTER TABLE shifts DROP COLUMN rotation_weeks;
ALTER TABLE queues DROP COLUMN minimum;

-- What a team is told by the one before it: how much is open, what is due soon, and last words.
-- leaves, comes: [{"id","name"}]; due_soon: the first of them; last_words: [{"author","body","at"}].
CREATE TABLE hand_overs (
    id BLOB NOT NULL PRIMARY KEY,
    queue_id BLOB NOT NULL REFERENCES queues (id),
    at INTEGER NOT NULL,
    leaves TEXT NOT NULL,
    comes TEXT NOT NULL,
    open_requests INTEGER NOT NULL,
    handed_over INTEGER NOT NULL,
    due_soon_count INTEGER NOT NULL,
    due_soon TEXT NOT NULL,
    last_words TEXT NOT NULL,
    acknowledged_by BLOB REFERENCES people (id),
    acknowledged_name TEXT,
    acknowledged_at INTEGER,
    UNIQUE (queue_id, at)
) STRICT;
CREATE INDEX hand_overs_queue ON hand_overs (queue_id, id);

-- What was said to the next team, until it is told.
CREATE TABLE last_words (
    id BLOB NOT NULL PRIMARY KEY,
    queue_id BLOB NOT NULL REFERENCES queues (id),
    author_id BLOB NOT NULL REFERENCES people (id),
    author_name TEXT NOT NULL,
    body TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX last_words_queue ON last_words (queue_id, id);

-- Until when the changes of a team have been looked at.
CREATE TABLE queue_watches (
    queue_id BLOB NOT NULL PRIMARY KEY REFERENCES queues (id),
    seen_until INTEGER NOT NULL
) STRICT;

-- The clocks of a queue that run, by what is due first.
CREATE INDEX sla_clocks_due ON sla_clocks (queue_id, due_at) WHERE stopped_at IS NULL;

-- What a team is told by the one before it: how much is open, what is due soon, and last words.
-- leaves, comes: [{"id","name"}]; due_soon: the first of them; last_words: [{"author","body","at"}].
CREATE TABLE hand_overs (
    id UUID NOT NULL PRIMARY KEY,
    queue_id UUID NOT NULL REFERENCES queues (id),
    at TIMESTAMPTZ NOT NULL,
    leaves JSONB NOT NULL,
    comes JSONB NOT NULL,
    open_requests INTEGER NOT NULL,
    handed_over INTEGER NOT NULL,
    due_soon_count INTEGER NOT NULL,
    due_soon JSONB NOT NULL,
    last_words JSONB NOT NULL,
    acknowledged_by UUID REFERENCES people (id),
    acknowledged_name TEXT,
    acknowledged_at TIMESTAMPTZ,
    UNIQUE (queue_id, at)
);
CREATE INDEX hand_overs_queue ON hand_overs (queue_id, id);

-- What was said to the next team, until it is told.
CREATE TABLE last_words (
    id UUID NOT NULL PRIMARY KEY,
    queue_id UUID NOT NULL REFERENCES queues (id),
    author_id UUID NOT NULL REFERENCES people (id),
    author_name TEXT NOT NULL,
    body TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL
);
CREATE INDEX last_words_queue ON last_words (queue_id, id);

-- Until when the changes of a team have been looked at.
CREATE TABLE queue_watches (
    queue_id UUID NOT NULL PRIMARY KEY REFERENCES queues (id),
    seen_until TIMESTAMPTZ NOT NULL
);

-- The clocks of a queue that run, by what is due first.
CREATE INDEX sla_clocks_due ON sla_clocks (queue_id, due_at) WHERE stopped_at IS NULL;

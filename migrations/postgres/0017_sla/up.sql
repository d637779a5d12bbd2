-- terms numbers all changes of calendars and policies, in order: clocks know up to which one they follow.
CREATE TABLE calendars (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- Every edition of a calendar there ever was; hours and holidays are lists.
CREATE TABLE calendar_editions (
    calendar_id UUID NOT NULL REFERENCES calendars (id),
    version INTEGER NOT NULL,
    terms INTEGER NOT NULL,
    time_zone TEXT NOT NULL,
    hours JSONB NOT NULL,
    holidays JSONB NOT NULL,
    author_id UUID NOT NULL REFERENCES people (id),
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (calendar_id, version)
);
CREATE INDEX calendar_editions_terms ON calendar_editions (terms);

-- Every set of policies there ever was; the one with the highest version is in force.
CREATE TABLE sla_policy_sets (
    version INTEGER NOT NULL PRIMARY KEY,
    terms INTEGER NOT NULL,
    policies JSONB NOT NULL,
    author_id UUID NOT NULL REFERENCES people (id),
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX sla_policy_sets_terms ON sla_policy_sets (terms);

-- The clocks of requests, a row a cycle. revision guards every save. due_at is the deadline, next_at the next mark
-- (warning or breach) that is to be made; both follow from the ledger. elapsed: counted microseconds, once stopped.
-- queue_id, severity and target_minutes are those at the end.
CREATE TABLE sla_clocks (
    tenant_id UUID NOT NULL,
    request_id UUID NOT NULL,
    clock TEXT NOT NULL CHECK (clock IN ('first_response', 'next_response', 'resolution')),
    cycle INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'paused', 'stopped', 'cancelled')),
    revision INTEGER NOT NULL,
    terms INTEGER NOT NULL,
    plan TEXT NOT NULL CHECK (plan IN ('standard', 'premium')),
    severity TEXT NOT NULL CHECK (severity IN ('a', 'b', 'c', 'd')),
    queue_id UUID NOT NULL REFERENCES queues (id),
    target_minutes INTEGER,
    opened_at TIMESTAMPTZ NOT NULL,
    due_at TIMESTAMPTZ,
    next_at TIMESTAMPTZ,
    warned_at TIMESTAMPTZ,
    breached_at TIMESTAMPTZ,
    stopped_at TIMESTAMPTZ,
    elapsed BIGINT,
    PRIMARY KEY (tenant_id, request_id, clock, cycle),
    FOREIGN KEY (tenant_id, request_id) REFERENCES service_requests (tenant_id, id)
);
CREATE INDEX sla_clocks_next ON sla_clocks (next_at, tenant_id, request_id) WHERE next_at IS NOT NULL;
CREATE INDEX sla_clocks_terms ON sla_clocks (terms) WHERE stopped_at IS NULL;
CREATE INDEX sla_clocks_stopped ON sla_clocks (stopped_at) WHERE stopped_at IS NOT NULL;

-- The ledger: what a clock ran and stood still, each interval under the terms of its time.
CREATE TABLE sla_intervals (
    tenant_id UUID NOT NULL,
    request_id UUID NOT NULL,
    clock TEXT NOT NULL,
    cycle INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    from_at TIMESTAMPTZ NOT NULL,
    until_at TIMESTAMPTZ,
    pace TEXT NOT NULL CHECK (pace IN ('running', 'paused')),
    cause TEXT NOT NULL,
    policy_version INTEGER NOT NULL,
    severity TEXT NOT NULL CHECK (severity IN ('a', 'b', 'c', 'd')),
    target_minutes INTEGER,
    calendar_id UUID REFERENCES calendars (id),
    calendar_version INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, request_id, clock, cycle, seq),
    FOREIGN KEY (tenant_id, request_id, clock, cycle) REFERENCES sla_clocks (tenant_id, request_id, clock, cycle)
);

-- When the next update of an incident was promised: made with an update (seq), kept by the next one.
CREATE TABLE promises (
    incident_id UUID NOT NULL REFERENCES incidents (id),
    seq INTEGER NOT NULL,
    made_at TIMESTAMPTZ NOT NULL,
    due_at TIMESTAMPTZ NOT NULL,
    next_at TIMESTAMPTZ,
    warned_at TIMESTAMPTZ,
    missed_at TIMESTAMPTZ,
    kept_at TIMESTAMPTZ,
    PRIMARY KEY (incident_id, seq)
);
CREATE INDEX promises_next ON promises (next_at, incident_id) WHERE next_at IS NOT NULL;

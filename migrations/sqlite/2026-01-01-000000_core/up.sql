-- One row: what names this database and where its log and its ids stand once rows have been removed.
CREATE TABLE hive (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    epoch TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- the last event that retention removed: an empty log goes on after it
    events_floor BIGINT NOT NULL DEFAULT 0,
    -- the highest id that retention removed: no id comes twice
    ids_floor BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE tenants (
    id INTEGER PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE
);
INSERT INTO tenants (id, name) VALUES (1, 'default');

CREATE TABLE lanes (
    id INTEGER PRIMARY KEY NOT NULL,
    tenant_id BIGINT NOT NULL,
    queue TEXT NOT NULL,
    -- names, sorted, joined by commas
    requires TEXT NOT NULL,
    -- 0 for none, so that the key below holds
    pinned_agent_id BIGINT NOT NULL DEFAULT 0,
    UNIQUE (tenant_id, queue, requires, pinned_agent_id)
);

-- The hot row: numbers only, rewritten at each transition. Times are microseconds, UTC.
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY NOT NULL,
    tenant_id BIGINT NOT NULL,
    lane_id BIGINT NOT NULL,
    -- 0 scheduled, 1 queued, 2 working, 3 completed, 4 failed, 5 canceled
    state SMALLINT NOT NULL CHECK (state BETWEEN 0 AND 5),
    priority SMALLINT NOT NULL CHECK (priority BETWEEN 0 AND 9),
    attempt INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    attempts_max INTEGER NOT NULL,
    eligible_at BIGINT,
    wait_deadline_at BIGINT,
    close_deadline_at BIGINT,
    started_at BIGINT,
    finished_at BIGINT,
    agent_id BIGINT,
    lease_expires_at BIGINT,
    lease_cap_at BIGINT,
    lease_ttl_ms BIGINT,
    cancel_requested_at BIGINT,
    -- 1 schedule-to-start, 2 schedule-to-close; of a task that expired while it waited
    expired_kind SMALLINT,
    -- the newest event of this task; events link back from there, which spares an index on every event
    last_event_seq BIGINT NOT NULL
);

-- All indexes but the list are partial: a task stands in one of them at a time, whatever the backlog.
CREATE INDEX tasks_queued ON tasks (lane_id, priority DESC, id) WHERE state = 1;
CREATE INDEX tasks_scheduled ON tasks (eligible_at) WHERE state = 0;
CREATE INDEX tasks_leased ON tasks (lease_expires_at) WHERE state = 2;
CREATE INDEX tasks_waiting ON tasks (wait_deadline_at)
    WHERE state IN (0, 1) AND wait_deadline_at IS NOT NULL;
CREATE INDEX tasks_finished ON tasks (finished_at) WHERE state >= 3;
-- Lists by state and by queue; queued tasks are listed by their heads.
CREATE INDEX tasks_listed ON tasks (lane_id, state, id) WHERE state <> 1;

-- The cold row: what was asked for, written once, read at a claim.
CREATE TABLE task_specs (
    task_id INTEGER PRIMARY KEY NOT NULL,
    title TEXT NOT NULL,
    kind TEXT,
    -- JSON; NULL for the usual (none, the default backoff, no timeouts)
    labels TEXT,
    backoff TEXT,
    timeouts TEXT,
    correlation_id TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- last, so that reading the others does not follow its overflow pages
    input TEXT
);

CREATE TABLE attempts (
    task_id BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    agent_id BIGINT,
    started_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    outcome SMALLINT NOT NULL CHECK (outcome BETWEEN 0 AND 5),
    -- what its holder reported: 0 success, 1 failure, 2 handed back; NULL when the hive ended it
    report SMALLINT,
    error_kind TEXT,
    error_message TEXT,
    usage TEXT,
    result TEXT,
    PRIMARY KEY (task_id, attempt)
) WITHOUT ROWID;

CREATE TABLE task_output (
    task_id BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    at BIGINT NOT NULL,
    -- bytes of this attempt up to the end of this chunk
    end_bytes BIGINT NOT NULL,
    is_truncated BOOLEAN NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (task_id, attempt, chunk)
) WITHOUT ROWID;

CREATE TABLE events (
    seq INTEGER PRIMARY KEY NOT NULL,
    at BIGINT NOT NULL,
    tenant_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    task_id BIGINT,
    agent_id BIGINT,
    attempt INTEGER,
    lane_id BIGINT,
    priority SMALLINT,
    -- the event of the same task before this one
    task_prior_seq BIGINT,
    correlation_id TEXT NOT NULL,
    data TEXT NOT NULL CHECK (length(CAST(data AS BLOB)) <= 512)
);

CREATE TABLE agents (
    id INTEGER PRIMARY KEY NOT NULL,
    tenant_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    capacity INTEGER NOT NULL,
    labels TEXT,
    link TEXT NOT NULL,
    is_draining BOOLEAN NOT NULL,
    health SMALLINT NOT NULL,
    created_at BIGINT NOT NULL,
    -- a removed agent keeps its row for a while, so that a repeated registration finds it
    removed_at BIGINT
);
CREATE UNIQUE INDEX agents_name ON agents (tenant_id, name) WHERE removed_at IS NULL;
CREATE INDEX agents_removed ON agents (removed_at) WHERE removed_at IS NOT NULL;

CREATE TABLE queues (
    tenant_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    is_paused BOOLEAN NOT NULL,
    PRIMARY KEY (tenant_id, name)
) WITHOUT ROWID;

CREATE TABLE task_keys (
    tenant_id BIGINT NOT NULL,
    hash BLOB NOT NULL,
    -- 0 submit, 1 register
    kind SMALLINT NOT NULL,
    subject_id BIGINT NOT NULL,
    fingerprint BLOB NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, hash, kind)
) WITHOUT ROWID;
CREATE INDEX task_keys_expiry ON task_keys (expires_at);

-- One row: the newest projection.
CREATE TABLE checkpoints (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    projection BLOB NOT NULL
);

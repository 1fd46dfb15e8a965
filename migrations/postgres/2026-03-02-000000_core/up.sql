-- The same logical schema as SQLite's up to 2026-03-02. Text is compared byte by byte, as there.

-- One row: what names this database and where its log and its ids stand once rows have been removed.
CREATE TABLE hive (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- the last event that retention removed: an empty log goes on after it
    events_floor BIGINT NOT NULL DEFAULT 0,
    -- the highest id that retention removed: no id comes twice
    ids_floor BIGINT NOT NULL DEFAULT 0
);

-- One row, bumped at the very end of each transaction that writes events: whoever holds it is the next to commit, so
-- that the order of commits is the order of seq. Its page has room, so that no bump has to leave it.
CREATE TABLE log_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- the last seq; below zero it stands for "somebody else has written since", which is refused
    seq BIGINT NOT NULL CONSTRAINT log_head_moved CHECK (seq >= 0)
) WITH (fillfactor = 10);
INSERT INTO log_head (id, seq) VALUES (1, 0);

-- Who may write: a number of each node, held by one incarnation of it at a time.
CREATE TABLE nodes (
    number SMALLINT PRIMARY KEY CHECK (number BETWEEN 0 AND 1023),
    -- random, new with each start
    incarnation BIGINT NOT NULL,
    started_at BIGINT NOT NULL
);

CREATE TABLE tenants (
    id BIGINT PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE
);
INSERT INTO tenants (id, name) VALUES (1, 'default');

CREATE TABLE lanes (
    id BIGINT PRIMARY KEY,
    tenant_id BIGINT NOT NULL,
    queue TEXT COLLATE "C" NOT NULL,
    -- names, sorted, joined by commas
    requires TEXT COLLATE "C" NOT NULL,
    -- 0 for none, so that the key below holds
    pinned_agent_id BIGINT NOT NULL DEFAULT 0,
    UNIQUE (tenant_id, queue, requires, pinned_agent_id)
);

-- The hot row: numbers only, rewritten at each transition. Times are microseconds, UTC. Pages have room, so that a
-- transition that changes no index stays within its page.
CREATE TABLE tasks (
    id BIGINT PRIMARY KEY,
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
    last_event_seq BIGINT NOT NULL,
    -- how many attempts ended together with the hive that ran them
    crashes INTEGER NOT NULL DEFAULT 0
) WITH (fillfactor = 70);

-- All indexes but the list are partial: a task stands in one of them at a time, whatever the backlog.
CREATE INDEX tasks_queued ON tasks (lane_id, priority DESC, id) WHERE state = 1;
CREATE INDEX tasks_scheduled ON tasks (eligible_at, id) WHERE state = 0;
CREATE INDEX tasks_leased ON tasks (lease_expires_at, id) WHERE state = 2;
CREATE INDEX tasks_waiting ON tasks (wait_deadline_at, id)
    WHERE state IN (0, 1) AND wait_deadline_at IS NOT NULL;
CREATE INDEX tasks_finished ON tasks (finished_at, id) WHERE state >= 3;
-- Lists by state and by queue; queued tasks are listed by their heads.
CREATE INDEX tasks_listed ON tasks (lane_id, state, id) WHERE state <> 1;

-- The cold row: what was asked for, written once, read at a claim.
CREATE TABLE task_specs (
    task_id BIGINT PRIMARY KEY,
    title TEXT NOT NULL,
    kind TEXT COLLATE "C",
    -- JSON, byte for byte as it came; NULL for the usual (none, the default backoff, no timeouts)
    labels TEXT,
    backoff TEXT,
    timeouts TEXT,
    correlation_id TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    input TEXT
);

CREATE TABLE attempts (
    task_id BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    agent_id BIGINT,
    started_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    outcome SMALLINT NOT NULL CHECK (outcome BETWEEN 0 AND 6),
    -- what its holder reported: 0 success, 1 failure, 2 handed back, 3 timed out; NULL when the hive ended it
    report SMALLINT,
    error_kind TEXT,
    error_message TEXT,
    usage TEXT,
    -- JSON
    workspace TEXT,
    result TEXT,
    PRIMARY KEY (task_id, attempt)
);

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
);

CREATE TABLE events (
    seq BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    tenant_id BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    task_id BIGINT,
    agent_id BIGINT,
    attempt INTEGER,
    lane_id BIGINT,
    priority SMALLINT,
    -- the event of the same task before this one
    task_prior_seq BIGINT,
    correlation_id TEXT NOT NULL,
    data TEXT NOT NULL CHECK (octet_length(data) <= 512)
);

CREATE TABLE agents (
    id BIGINT PRIMARY KEY,
    tenant_id BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    capabilities TEXT COLLATE "C" NOT NULL,
    capacity INTEGER NOT NULL,
    labels TEXT,
    link TEXT COLLATE "C" NOT NULL,
    is_draining BOOLEAN NOT NULL,
    health SMALLINT NOT NULL,
    created_at BIGINT NOT NULL,
    -- a removed agent keeps its row for a while, so that a repeated registration finds it
    removed_at BIGINT,
    -- JSON, of a link that is a process
    link_spec TEXT,
    -- JSON, the values of its environment: apart from the rest because they are never shown; NULL for none
    link_env TEXT
);
CREATE UNIQUE INDEX agents_name ON agents (tenant_id, name) WHERE removed_at IS NULL;
CREATE INDEX agents_removed ON agents (removed_at) WHERE removed_at IS NOT NULL;

CREATE TABLE queues (
    tenant_id BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    is_paused BOOLEAN NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

CREATE TABLE task_keys (
    tenant_id BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    -- 0 submit, 1 register, 3 API key
    kind SMALLINT NOT NULL,
    subject_id BIGINT NOT NULL,
    fingerprint BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, hash, kind)
);
CREATE INDEX task_keys_expiry ON task_keys (expires_at);

-- One row: the newest projection.
CREATE TABLE checkpoints (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    projection BYTEA NOT NULL
);

-- Logins beside the admin token. Of a key itself nothing is stored but its hash: 256 random bits need no slow one.
CREATE TABLE api_keys (
    id BIGINT PRIMARY KEY,
    tenant_id BIGINT NOT NULL,
    -- what stands in created_by of what its holder makes
    name TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL CHECK (role IN ('admin', 'operator', 'developer', 'viewer', 'agent')),
    -- of the role agent, and of no other
    agent_id BIGINT CHECK ((agent_id IS NOT NULL) = (role = 'agent')),
    sha256 BYTEA NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    -- how the key begins, for people to recognise it by
    prefix TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    -- NULL for never
    expires_at BIGINT,
    UNIQUE (tenant_id, name)
);

-- Keys that only one task may have at a time. The newest row of a key decides; older ones stay until their tasks leave,
-- so that a task that is put back finds its key.
CREATE TABLE unique_keys (
    tenant_id BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    -- the event with which the task took it
    since_seq BIGINT NOT NULL,
    task_id BIGINT NOT NULL,
    -- when it is free again; NULL with the end of the task, the largest number never
    expires_at BIGINT,
    PRIMARY KEY (tenant_id, key, since_seq)
);
CREATE INDEX unique_keys_task ON unique_keys (task_id);
CREATE INDEX unique_keys_expiry ON unique_keys (expires_at) WHERE expires_at IS NOT NULL;

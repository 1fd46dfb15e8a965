-- Agents that are processes of the hive: what they are started with, what they leave, and how often the hive ended
-- under a task.

-- how many attempts ended together with the hive that ran them
ALTER TABLE tasks ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;

-- JSON, of a link that is a process
ALTER TABLE agents ADD COLUMN link_spec TEXT;
-- JSON, the values of its environment: apart from the rest because they are never shown; NULL for none
ALTER TABLE agents ADD COLUMN link_env TEXT;

-- SQLite cannot change a CHECK: the table is built anew. Without a rowid its rows come out in the order they go in.
CREATE TABLE attempts_new (
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
    -- JSON; before the result, which is longer and read alone
    workspace TEXT,
    result TEXT,
    PRIMARY KEY (task_id, attempt)
) WITHOUT ROWID;
INSERT INTO attempts_new (
    task_id, attempt, agent_id, started_at, ended_at, outcome, report, error_kind, error_message, usage, result
) SELECT
    task_id, attempt, agent_id, started_at, ended_at, outcome, report, error_kind, error_message, usage, result
FROM attempts ORDER BY task_id, attempt;
DROP TABLE attempts;
ALTER TABLE attempts_new RENAME TO attempts;

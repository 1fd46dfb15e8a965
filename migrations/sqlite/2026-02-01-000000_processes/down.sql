-- What was not there before becomes what is nearest: a crash an interruption, since neither is charged; a reported
-- timeout a failure; a process a worker, for which then nobody asks.

CREATE TABLE attempts_old (
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
INSERT INTO attempts_old (
    task_id, attempt, agent_id, started_at, ended_at, outcome, report, error_kind, error_message, usage, result
) SELECT
    task_id, attempt, agent_id, started_at, ended_at, CASE outcome WHEN 6 THEN 5 ELSE outcome END,
    CASE report WHEN 3 THEN 1 ELSE report END, error_kind, error_message, usage, result
FROM attempts ORDER BY task_id, attempt;
DROP TABLE attempts;
ALTER TABLE attempts_old RENAME TO attempts;

UPDATE agents SET link = 'worker' WHERE link <> 'worker';
ALTER TABLE agents DROP COLUMN link_env;
ALTER TABLE agents DROP COLUMN link_spec;
ALTER TABLE tasks DROP COLUMN crashes;

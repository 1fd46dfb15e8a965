-- Keys that only one task may have at a time. The newest row of a key decides; older ones stay until their tasks leave,
-- so that a task that is put back finds its key.
CREATE TABLE unique_keys (
    tenant_id BIGINT NOT NULL,
    key TEXT NOT NULL,
    -- the event with which the task took it
    since_seq BIGINT NOT NULL,
    task_id BIGINT NOT NULL,
    -- when it is free again; NULL with the end of the task, the largest number never
    expires_at BIGINT,
    PRIMARY KEY (tenant_id, key, since_seq)
) WITHOUT ROWID;
CREATE INDEX unique_keys_task ON unique_keys (task_id);
CREATE INDEX unique_keys_expiry ON unique_keys (expires_at) WHERE expires_at IS NOT NULL;

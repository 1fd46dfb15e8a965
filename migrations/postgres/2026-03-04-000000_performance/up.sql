-- What a node did within a span of time: one row a minute and one an hour, where anything happened.
CREATE TABLE performance (
    -- 60 or 3600
    span_s INTEGER NOT NULL,
    -- when the counting of this row began; a node that started within the span has a row of its own
    since BIGINT NOT NULL,
    node INTEGER NOT NULL,
    requests BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    submitted BIGINT NOT NULL,
    started BIGINT NOT NULL,
    completed BIGINT NOT NULL,
    retried BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    -- histograms of microseconds, HdrHistogram's V2 encoding
    request_us BYTEA NOT NULL,
    wait_us BYTEA NOT NULL,
    run_us BYTEA NOT NULL,
    PRIMARY KEY (span_s, since, node)
);

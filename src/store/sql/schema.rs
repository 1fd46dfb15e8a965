//! The tables as diesel sees them; their reasons stand in `migrations/sqlite`.

diesel::table! {
    hive (id) {
        id -> Integer,
        epoch -> Text,
        created_at -> BigInt,
        events_floor -> BigInt,
        ids_floor -> BigInt,
    }
}

diesel::table! {
    lanes (id) {
        id -> BigInt,
        tenant_id -> BigInt,
        queue -> Text,
        requires -> Text,
        pinned_agent_id -> BigInt,
    }
}

diesel::table! {
    tasks (id) {
        id -> BigInt,
        tenant_id -> BigInt,
        lane_id -> BigInt,
        state -> SmallInt,
        priority -> SmallInt,
        attempt -> Integer,
        failures -> Integer,
        attempts_max -> Integer,
        eligible_at -> Nullable<BigInt>,
        wait_deadline_at -> Nullable<BigInt>,
        close_deadline_at -> Nullable<BigInt>,
        started_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
        agent_id -> Nullable<BigInt>,
        lease_expires_at -> Nullable<BigInt>,
        lease_cap_at -> Nullable<BigInt>,
        lease_ttl_ms -> Nullable<BigInt>,
        cancel_requested_at -> Nullable<BigInt>,
        expired_kind -> Nullable<SmallInt>,
        last_event_seq -> BigInt,
        crashes -> Integer,
    }
}

diesel::table! {
    task_specs (task_id) {
        task_id -> BigInt,
        title -> Text,
        kind -> Nullable<Text>,
        labels -> Nullable<Text>,
        backoff -> Nullable<Text>,
        timeouts -> Nullable<Text>,
        correlation_id -> Text,
        created_by -> Text,
        created_at -> BigInt,
        input -> Nullable<Text>,
    }
}

diesel::table! {
    attempts (task_id, attempt) {
        task_id -> BigInt,
        attempt -> Integer,
        agent_id -> Nullable<BigInt>,
        started_at -> BigInt,
        ended_at -> BigInt,
        outcome -> SmallInt,
        report -> Nullable<SmallInt>,
        error_kind -> Nullable<Text>,
        error_message -> Nullable<Text>,
        usage -> Nullable<Text>,
        workspace -> Nullable<Text>,
        result -> Nullable<Text>,
    }
}

diesel::table! {
    task_output (task_id, attempt, chunk) {
        task_id -> BigInt,
        attempt -> Integer,
        chunk -> Integer,
        at -> BigInt,
        end_bytes -> BigInt,
        is_truncated -> Bool,
        text -> Text,
    }
}

diesel::table! {
    events (seq) {
        seq -> BigInt,
        at -> BigInt,
        tenant_id -> BigInt,
        kind -> Text,
        task_id -> Nullable<BigInt>,
        agent_id -> Nullable<BigInt>,
        attempt -> Nullable<Integer>,
        lane_id -> Nullable<BigInt>,
        priority -> Nullable<SmallInt>,
        task_prior_seq -> Nullable<BigInt>,
        correlation_id -> Text,
        data -> Text,
    }
}

diesel::table! {
    agents (id) {
        id -> BigInt,
        tenant_id -> BigInt,
        name -> Text,
        role -> Text,
        capabilities -> Text,
        capacity -> Integer,
        labels -> Nullable<Text>,
        link -> Text,
        is_draining -> Bool,
        health -> SmallInt,
        created_at -> BigInt,
        removed_at -> Nullable<BigInt>,
        link_spec -> Nullable<Text>,
        link_env -> Nullable<Text>,
    }
}

diesel::table! {
    queues (tenant_id, name) {
        tenant_id -> BigInt,
        name -> Text,
        is_paused -> Bool,
        concurrency_limit -> Nullable<Integer>,
    }
}

diesel::table! {
    task_keys (tenant_id, hash, kind) {
        tenant_id -> BigInt,
        hash -> Binary,
        kind -> SmallInt,
        subject_id -> BigInt,
        fingerprint -> Binary,
        expires_at -> BigInt,
    }
}

diesel::table! {
    api_keys (id) {
        id -> BigInt,
        tenant_id -> BigInt,
        name -> Text,
        role -> Text,
        agent_id -> Nullable<BigInt>,
        sha256 -> Binary,
        prefix -> Text,
        created_at -> BigInt,
        created_by -> Text,
        expires_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    checkpoints (id) {
        id -> Integer,
        seq -> BigInt,
        at -> BigInt,
        projection -> Binary,
    }
}

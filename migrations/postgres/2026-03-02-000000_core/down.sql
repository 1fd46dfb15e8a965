DROP TABLE unique_keys, api_keys, checkpoints, task_keys, queues, agents, events, task_output, attempts, task_specs,
    tasks, lanes, tenants, nodes, log_head, hive;

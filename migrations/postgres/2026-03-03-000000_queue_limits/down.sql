ALTER TABLE queues DROP COLUMN concurrency_limit;

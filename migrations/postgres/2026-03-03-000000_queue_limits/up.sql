-- At most so many tasks of a queue are worked on at a time; NULL for as many as agents take.
ALTER TABLE queues ADD COLUMN concurrency_limit INTEGER;

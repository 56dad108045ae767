-- Up Migration
ALTER TABLE tasks ADD COLUMN done_at timestamptz;
CREATE VIEW open_tasks AS SELECT * FROM tasks WHERE done_at IS NULL;

-- Down Migration
DROP VIEW open_tasks;
ALTER TABLE tasks DROP COLUMN done_at;

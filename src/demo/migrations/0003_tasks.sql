-- Up Migration
CREATE TABLE tasks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project_id bigint NOT NULL REFERENCES projects,
  title text NOT NULL,
  due date
);
CREATE INDEX tasks_due_idx ON tasks (due) WHERE due IS NOT NULL;

-- Down Migration
DROP TABLE tasks;

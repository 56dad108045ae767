-- Up Migration
INSERT INTO projects (owner_id, name) SELECT id, 'Project of ' || email FROM users;
INSERT INTO tasks (project_id, title, due)
  SELECT p.id, 'Task ' || n, current_date + n FROM projects p CROSS JOIN generate_series(1, 20) n;

-- Down Migration
DELETE FROM tasks;
DELETE FROM projects;

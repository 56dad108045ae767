-- Up Migration
CREATE TYPE project_state AS ENUM ('planned', 'active', 'done');
CREATE TABLE projects (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  owner_id bigint NOT NULL REFERENCES users,
  name text NOT NULL,
  state project_state NOT NULL DEFAULT 'planned'
);
CREATE INDEX projects_owner_idx ON projects (owner_id);

-- Down Migration
DROP TABLE projects;
DROP TYPE project_state;

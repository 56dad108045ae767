import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { writeInventory } from './fleets.ts';
import type { Bench } from './support.ts';

/** Schemas that one transaction makes. */
const schemasAtOnce = 25;

export async function makeFolder(bench: Bench, name: string): Promise<string> {
  const folder = path.join(bench.folder, `drift-${name}`);
  await mkdir(path.join(folder, 'migrations'), { recursive: true });
  return folder;
}

/** The database of the tenants that are schemas, empty, and its inventory. */
export async function writeSaas(bench: Bench, folder: string): Promise<void> {
  await runSql(bench, 'postgres', 'CREATE DATABASE saas');
  await runSql(bench, 'saas', makeTenant);
  await writeInventory(bench, folder, 'saas');
}

/** Tenants `from` to `to` of it. */
export async function makeTenants(bench: Bench, from: number, to: number): Promise<void> {
  for (let first = from; first <= to; first += schemasAtOnce) {
    const last = Math.min(to, first + schemasAtOnce - 1);
    await runSql(
      bench,
      'saas',
      `DO $$ BEGIN FOR i IN ${first}..${last} LOOP PERFORM public.make_tenant('t_' || i); END LOOP; END $$`,
    );
  }
  await runSql(bench, 'saas', 'VACUUM ANALYZE');
}

export async function writeOwnDatabases(bench: Bench, folder: string): Promise<void> {
  const url = JSON.stringify(bench.cluster.url('postgres'));
  await writeFile(
    path.join(folder, 'tenants.yaml'),
    `version: 1\nservers:\n  main: { url: ${url} }\ndiscover:\n  - { server: main, databases: "own_*" }\n`,
  );
}

/** Databases of one tenant each. */
export async function makeDatabases(bench: Bench, count: number): Promise<void> {
  await runSql(bench, 'postgres', 'CREATE DATABASE own_template');
  await runSql(bench, 'own_template', makeTenant);
  await runSql(bench, 'own_template', "SELECT public.make_tenant('public'); DROP FUNCTION public.make_tenant(text)");
  for (let number = 1; number <= count; number += 1) {
    await runSql(bench, 'postgres', `CREATE DATABASE own_${number} TEMPLATE own_template STRATEGY file_copy`);
  }
  await runSql(bench, 'postgres', 'DROP DATABASE own_template');
}

export async function runSql(bench: Bench, database: string, text: string): Promise<void> {
  const session = await bench.connect(database);
  try {
    await session.raw(text);
  } finally {
    await session.end();
  }
}

/** 20 tables of ten columns, with keys, checks, indexes, triggers and policies; views, functions, types. */
const makeTenant = `CREATE FUNCTION public.make_tenant(tenant text) RETURNS void LANGUAGE plpgsql AS $make$
BEGIN
  IF tenant <> 'public' THEN EXECUTE format('CREATE SCHEMA %I', tenant); END IF;
  EXECUTE format('SET LOCAL search_path = %I', tenant);
  CREATE TYPE mood AS ENUM ('sad', 'well', 'glad');
  CREATE DOMAIN positive AS numeric(12, 2) CHECK (VALUE > 0);
  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.changed_at := now(); RETURN NEW; END';
  CREATE FUNCTION total(n int) RETURNS int LANGUAGE sql AS 'SELECT n + 1';
  FOR j IN 1..20 LOOP
    EXECUTE format('CREATE TABLE table_%s (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner_id bigint NOT NULL,
      name text NOT NULL DEFAULT ''none'', email varchar(200) UNIQUE, amount positive, state mood DEFAULT ''well'',
      settings jsonb NOT NULL DEFAULT ''{}'', tags text[], created_at timestamptz NOT NULL DEFAULT now(),
      changed_at timestamptz CHECK (changed_at >= created_at))', j);
    EXECUTE format('CREATE INDEX table_%1$s_owner ON table_%1$s (owner_id, created_at DESC)', j);
    EXECUTE format('CREATE INDEX table_%1$s_name ON table_%1$s (lower(name)) WHERE owner_id > 0', j);
    IF j > 1 THEN
      EXECUTE format('ALTER TABLE table_%s ADD FOREIGN KEY (owner_id) REFERENCES table_%s (id) ON DELETE CASCADE', j, j - 1);
    END IF;
    EXECUTE format('CREATE TRIGGER touch BEFORE UPDATE ON table_%s FOR EACH ROW EXECUTE FUNCTION touch()', j);
    IF j % 5 = 0 THEN
      EXECUTE format('CREATE VIEW view_%1$s AS SELECT id, name, total(1) AS one FROM table_%1$s WHERE owner_id > 10', j);
      EXECUTE format('ALTER TABLE table_%s ENABLE ROW LEVEL SECURITY', j);
      EXECUTE format('CREATE POLICY own ON table_%s USING (owner_id > 0)', j);
    END IF;
  END LOOP;
END $make$`;

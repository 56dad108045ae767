import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { identifier, sql } from '../src/postgres/sql.ts';
import type { Bench } from './support.ts';

/** An inventory and `count` migrations; `public.applied` of the database holds their names and checksums. */
export async function writeFleet(bench: Bench, name: string, database: string, count: number): Promise<string> {
  const folder = path.join(bench.folder, name);
  await mkdir(path.join(folder, 'migrations'), { recursive: true });
  await writeInventory(bench, folder, database);
  const server = await bench.connect('postgres');
  await server.query(sql`CREATE DATABASE ${identifier(database)}`);
  await server.end();
  const names: string[] = [];
  const checksums: string[] = [];
  for (let number = 1; number <= count; number += 1) {
    const text = migrationText(number);
    names.push(`${String(number).padStart(4, '0')}_create_table_${number}`);
    checksums.push(createHash('sha256').update(text).digest('hex'));
    await writeFile(path.join(folder, 'migrations', `${names.at(-1)}.sql`), text);
  }
  const session = await bench.connect(database);
  await session.query(sql`CREATE TABLE public.applied AS
    SELECT * FROM unnest(${names}::text[], ${checksums}::text[]) AS a(name, checksum)`);
  await session.end();
  return folder;
}

/** Writes tenants.yaml for all schemas `t_*` of a database; returns its path. */
export async function writeInventory(bench: Bench, folder: string, database: string): Promise<string> {
  const file = path.join(folder, 'tenants.yaml');
  await writeFile(
    file,
    `version: 1\nmigrations: ./migrations\nservers:\n  main: { url: ${JSON.stringify(bench.cluster.url('postgres'))} }\n` +
      `discover:\n  - { server: main, database: ${database}, schemas: "t_*" }\n`,
  );
  return file;
}

/** The n-th migration: a table with an index. */
export function migrationText(number: number): string {
  return `CREATE TABLE table_${number} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner_id bigint NOT NULL, name text NOT NULL);
CREATE INDEX table_${number}_owner_idx ON table_${number} (owner_id);
`;
}

/** Makes the database if need be, and the schemas `t_1`, `t_2`, … */
export async function makeSchemas(bench: Bench, database: string, count: number): Promise<void> {
  const server = await bench.connect('postgres');
  const [found] = await server.query(sql`SELECT FROM pg_database WHERE datname = ${database}`);
  if (found === undefined) await server.query(sql`CREATE DATABASE ${identifier(database)}`);
  await server.end();
  const session = await bench.connect(database);
  await session.raw(`DO $$ BEGIN FOR i IN 1..${count} LOOP EXECUTE format('CREATE SCHEMA t_%s', i); END LOOP; END $$`);
  await session.raw('CHECKPOINT');
  await session.end();
}

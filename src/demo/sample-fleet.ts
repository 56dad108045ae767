import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Session } from '../postgres/session.ts';
import { identifier, sql } from '../postgres/sql.ts';

// biome-ignore format: a list of names
const schemaTenants = [
  'acme', 'aurora', 'basalt', 'beacon', 'birch', 'bluefin', 'bramble', 'cedar', 'cobalt', 'comet', 'coral', 'crane',
  'delta', 'dune', 'echo', 'ember', 'falcon', 'fern', 'flint', 'garnet', 'glacier', 'globex', 'harbor', 'hazel',
  'heron', 'indigo', 'initech', 'iris', 'jasper', 'juniper', 'kestrel', 'lagoon', 'lantern', 'laurel', 'linden',
  'maple', 'meadow', 'mistral', 'nectar', 'nimbus', 'oakridge', 'onyx', 'opal', 'orchid', 'pebble', 'piper', 'quartz',
  'raven', 'ridge', 'rosebud', 'saffron', 'sequoia', 'sierra', 'slate', 'sparrow', 'tamarack', 'tundra', 'umbra',
  'willow', 'zephyr',
];
const databaseTenants = ['contoso', 'hooli', 'massive', 'stark', 'umbrella', 'wayne'];

/** Has its own tables besides the application's; the demo breaks it. */
export const unluckyTenant = 'rosebud';

/** Migrations of the sample application that the demo adds later on. */
const laterMigration = `-- Up Migration
CREATE TABLE invoices (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project_id bigint NOT NULL REFERENCES projects,
  amount numeric(12, 2) NOT NULL
);

-- Down Migration
DROP TABLE invoices;
`;

export interface SampleFleet {
  /** Holds tenants.yaml and migrations/. */
  readonly folder: string;
  readonly schemas: number;
  readonly databases: number;
}

/** Makes 60 tenants with a schema in one database, 6 with a database of their own, and the files that describe them. */
export async function createSampleFleet(
  folder: string,
  url: string,
  connect: (database: string) => Promise<Session>,
): Promise<SampleFleet> {
  const server = await connect('postgres');
  for (const name of ['saas', ...databaseTenants.map((tenant) => `t_${tenant}`)]) {
    // The copy of files is quicker than the WAL of one for databases as small as a template.
    await server.query(sql`CREATE DATABASE ${identifier(name)} STRATEGY file_copy`);
  }
  await server.end();
  const saas = await connect('saas');
  for (const name of schemaTenants) await saas.query(sql`CREATE SCHEMA ${identifier(`tenant_${name}`)}`);
  await saas.end();

  const migrations = path.join(folder, 'migrations');
  await mkdir(migrations, { recursive: true });
  const samples = fileURLToPath(new URL('migrations/', import.meta.url));
  for (const file of await readdir(samples)) await copyFile(path.join(samples, file), path.join(migrations, file));
  await writeFile(path.join(folder, 'tenants.yaml'), inventory(url));
  return { folder, schemas: schemaTenants.length, databases: databaseTenants.length };
}

/** The next release of the application, and a table of the same name that somebody made by hand. */
export async function breakOneTenant(folder: string, connect: (database: string) => Promise<Session>): Promise<void> {
  await writeFile(path.join(folder, 'migrations', '0006_invoices.sql'), laterMigration);
  const session = await connect('saas');
  await session.query(sql`CREATE TABLE ${identifier(`tenant_${unluckyTenant}`, 'invoices')} (number text)`);
  await session.end();
}

export async function repairTenant(connect: (database: string) => Promise<Session>): Promise<void> {
  const session = await connect('saas');
  await session.query(sql`DROP TABLE ${identifier(`tenant_${unluckyTenant}`, 'invoices')}`);
  await session.end();
}

function inventory(url: string): string {
  return `version: 1
environment: demo
migrations: ./migrations
servers:
  main: { url: ${JSON.stringify(url)} }
discover:
  - { server: main, database: saas, schemas: "tenant_*", labels: { tier: standard } }
  - { server: main, databases: "t_*", labels: { tier: enterprise } }
`;
}

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { afterAll, onTestFinished } from 'vitest';
import type { Failure } from '../../src/errors.ts';
import type { Blocker, Totals } from '../../src/fleet/outcome.ts';
import { asSuperuser, createTestDatabase, databaseUrl, dropDatabase, type TestDatabase } from './database.ts';
import { type CliOptions, type CliResult, jsonOf, type RunningCli, runCli, startCli } from './run-cli.ts';

export interface FleetSpec {
  /** So many tenants with a schema (`tenant_t01`, found by discovery as `t01`), or schemas by the id of their tenant. */
  readonly schemas?: number | Readonly<Record<string, string>>;
  /** So many tenants with a database of their own (`d01`), found by discovery. */
  readonly databases?: number;
  /** Migration files by name; those in folders too: `shared/0001_x.sql`. */
  readonly migrations?: Readonly<Record<string, string>>;
  /** More of tenants.yaml, or in place of what stands there: top-level keys. */
  readonly inventory?: Readonly<Record<string, unknown>>;
  /** Whether it lives to the end of the test, or of the file when it is made at its top level. */
  readonly until?: 'file' | 'test';
  /** Of the file's `servers.main.url`: another role, an application name. */
  readonly url?: (database: string) => string;
}

/** A fleet on the run's server, with a temporary folder that holds tenants.yaml and migrations/. */
export interface TestFleet {
  readonly folder: string;
  /** The database of the tenants that have a schema. */
  readonly db: TestDatabase;
  /** Names of the databases of the tenants d01, d02, … */
  readonly databases: readonly string[];
  /** Writes a file below migrations/, or takes it away (null). */
  readonly write: (name: string, text: string | null) => Promise<void>;
  readonly writeInventory: (changes: Readonly<Record<string, unknown>>) => Promise<void>;
  readonly run: (argv: string | readonly string[], options?: CliOptions) => Promise<CliResult>;
  /** Runs with --json and reads what stdout holds, which must be that and nothing else. */
  readonly json: (argv: string, options?: CliOptions) => Promise<FleetReport>;
  readonly start: (argv: string, options?: CliOptions) => RunningCli;
  /** Names in a tenant's history in the order in which they ran; null: there is no table. */
  readonly history: (schema: string) => Promise<readonly string[] | null>;
  /** `schema.table` of everything made below the schemas of the tenants' database, histories left out. */
  readonly tables: () => Promise<readonly string[]>;
}

/** The json document, and what a test asks of it most. */
export interface FleetReport {
  readonly exitCode: number;
  readonly stderr: string;
  readonly run: string | null;
  readonly totals: Totals;
  readonly outcomes: readonly ReportedOutcome[];
  readonly sources?: readonly { readonly server: string; readonly error: Failure; readonly skipped?: boolean }[];
  readonly shared?: readonly Omit<ReportedOutcome, 'tenant'>[];
  readonly histogram?: unknown;
  /** Of a command that was refused as a whole. */
  readonly error?: { readonly message: string; readonly details: readonly string[]; readonly hint?: string };
  /** The outcome of one tenant; fails when it has none. */
  readonly of: (tenant: string) => ReportedOutcome;
  /** `01 done, 02 failed`. */
  readonly summary: string;
}

export interface ReportedOutcome {
  readonly tenant: string;
  readonly database: string;
  readonly schema: string | null;
  readonly status: 'done' | 'failed' | 'interrupted' | 'skipped';
  readonly step?: string | null;
  readonly reason?: string;
  readonly because?: string;
  readonly finding?: boolean;
  readonly error?: Failure;
  readonly durationMs: number;
  readonly attempts?: number;
  readonly blockedBy?: readonly Blocker[];
  readonly value?: {
    readonly from?: string | null;
    readonly to?: string | null;
    readonly applied?: readonly string[] | number;
    readonly reverted?: readonly string[];
    readonly pending?: readonly string[];
  };
}

/** Makes a fleet; it and its databases are gone at the end of the test. */
export async function createFleet(spec: FleetSpec = {}): Promise<TestFleet> {
  const { schemas = 0, databases: databaseCount = 0, migrations = {}, until = 'test', url = databaseUrl } = spec;
  const atEnd = until === 'test' ? onTestFinished : afterAll;
  const db = await createTestDatabase({ until });
  const folder = await mkdtemp(join(tmpdir(), 'tenantctl-fleet-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  const names = typeof schemas === 'number' ? numbered('tenant_t', schemas) : Object.values(schemas);
  await createSchemas(db, names);
  const databases = numbered(`${db.name}_d`, databaseCount);
  await createDatabases(databases);
  atEnd(async () => void (await Promise.all(databases.map(dropDatabase))));

  const standard = {
    version: 1,
    environment: 'test',
    migrations: './migrations',
    servers: { main: { url: url('postgres') } },
    tenants: typeof schemas === 'number' ? [] : explicitTenants(db.name, schemas),
    discover: [
      ...(typeof schemas === 'number' && schemas > 0
        ? [{ server: 'main', database: db.name, schemas: 'tenant_*' }]
        : []),
      ...(databaseCount > 0 ? [{ server: 'main', databases: `${db.name}_*` }] : []),
    ],
  };
  const writeInventory = (changes: Readonly<Record<string, unknown>>) =>
    // JSON is YAML.
    writeFile(join(folder, 'tenants.yaml'), JSON.stringify({ ...standard, ...spec.inventory, ...changes }, null, 1));
  const write = async (name: string, text: string | null) => {
    const file = join(folder, 'migrations', name);
    await mkdir(dirname(file), { recursive: true });
    await (text === null ? rm(file) : writeFile(file, text));
  };
  await writeInventory({});
  await mkdir(join(folder, 'migrations'));
  for (const [name, text] of Object.entries(migrations)) await write(name, text);

  const run: TestFleet['run'] = (argv, options) => runCli(argv, { cwd: folder, ...options });
  return {
    folder,
    db,
    databases,
    write,
    writeInventory,
    run,
    start: (argv, options) => startCli(argv, { cwd: folder, ...options }),
    json: async (argv, options) => readReport(await run(`${argv} --json`, options)),
    history: (schema) => readHistory(db, schema),
    tables: () => listTables(db),
  };
}

/** Reads the json document of a run. */
export function readReport(result: CliResult): FleetReport {
  const document = jsonOf<Omit<FleetReport, 'of' | 'stderr' | 'summary'>>(result);
  if (document.exitCode !== result.exitCode) throw new Error('the document tells another exit code');
  return {
    ...document,
    stderr: result.stderr,
    summary: document.outcomes.map(({ tenant, status }) => `${tenant} ${status}`).join(', '),
    of: (tenant) => {
      const found = document.outcomes.filter((outcome) => outcome.tenant === tenant);
      if (found.length !== 1) throw new Error(`${tenant} has ${found.length} outcomes in ${result.stdout}`);
      return found[0]!;
    },
  };
}

/** `t01` to `t50`: at least two digits, so that they sort. */
export function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${String(index + 1).padStart(2, '0')}`);
}

function explicitTenants(database: string, schemas: Readonly<Record<string, string>>) {
  return Object.entries(schemas).map(([id, schema]) => ({ id, server: 'main', database, schema }));
}

async function createSchemas(db: TestDatabase, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await db.query(names.map((name) => `create schema ${pg.escapeIdentifier(name)}`).join(';'));
}

/** The copy of files is quicker than the WAL of one for databases as small as a template. */
export async function createDatabases(names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await asSuperuser(async (admin) => {
    for (const name of names) {
      await admin.query(`create database ${pg.escapeIdentifier(name)} template template0 strategy file_copy`);
    }
  });
}

async function readHistory(db: TestDatabase, schema: string): Promise<readonly string[] | null> {
  const table = `${pg.escapeIdentifier(schema)}.pgmigrations`;
  const [found] = await db.query<{ oid: string | null }>('select to_regclass($1) as oid', [table]);
  if (found?.oid == null) return null;
  const rows = await db.query<{ name: string }>(`select name from ${table} order by run_on, id`);
  return rows.map(({ name }) => name);
}

async function listTables(db: TestDatabase): Promise<readonly string[]> {
  const rows = await db.query<{ name: string }>(
    `select n.nspname || '.' || c.relname as name
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and c.relkind in ('r', 'p', 'v', 'm')
        and c.relname <> 'pgmigrations'
      order by n.nspname collate "C", c.relname collate "C"`,
  );
  return rows.map(({ name }) => name);
}

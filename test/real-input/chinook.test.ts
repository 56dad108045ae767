import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/postgres/local/cache-folder.ts';
import type { TestDatabase } from '../support/database.ts';
import { createFleet, numbered } from '../support/fleet.ts';

// The Chinook sample database, where somebody has put it beside the repository.
const sample = join(packageRoot, '..', 'shared', 'samples', 'chinook', 'Chinook_PostgreSql_SerialPKs.sql');
const isThere = existsSync(sample);
if (!isThere) process.stderr.write(`tests: NOT RUN: the real input ${sample} is not there\n`);

const isSoak = (process.env.TENANTCTL_SOAK ?? '') !== '';
const size = isSoak ? { schemas: 200, databases: 20 } : { schemas: 20, databases: 4 };

const tables = [
  ['album', 347],
  ['artist', 275],
  ['customer', 59],
  ['employee', 8],
  ['genre', 25],
  ['invoice', 412],
  ['invoice_line', 2240],
  ['media_type', 5],
  ['playlist', 18],
  ['playlist_track', 8715],
  ['track', 3503],
] as const;

test.runIf(isThere)(`Chinook comes to ${size.schemas} schemas and ${size.databases} databases`, async () => {
  const script = await readFile(sample, 'utf8');
  const migrations = cutIntoMigrations(script);
  const fleet = await createFleet({ ...size, migrations });
  const report = await fleet.json('migrate --all');
  expect(report.outcomes.filter(({ status }) => status !== 'done')).toEqual([]);
  expect(report.totals.done).toBe(size.schemas + size.databases);

  for (const schema of numbered('tenant_t', size.schemas)) {
    expect(await countRows(fleet.db, schema), schema).toEqual(Object.fromEntries(tables));
  }
  for (const database of fleet.databases) {
    const client = await fleet.db.connect({ database });
    const query = async (text: string) => (await client.query(text)).rows;
    expect(await countRows({ query } as TestDatabase, 'public'), database).toEqual(Object.fromEntries(tables));
    await client.end();
  }
  // What was cut into pieces is the whole script: the same content as when it is run in one go.
  await fleet.db.query('create schema reference');
  const whole = await fleet.db.connect({ options: '-c search_path=reference' });
  await whole.query(script.slice(script.indexOf('CREATE TABLE')));
  await whole.end();
  expect(await contentOf(fleet.db, 'tenant_t07')).toEqual(await contentOf(fleet.db, 'reference'));
  expect(await fleet.tables()).toHaveLength((size.schemas + 1) * tables.length);

  const status = await fleet.json('migrate status --all --check');
  expect([status.exitCode, status.totals.done]).toEqual([0, size.schemas + size.databases]);
});

/** Tables, keys, indexes and data; the lines that make a database and go into it are left out. */
function cutIntoMigrations(script: string): Readonly<Record<string, string>> {
  const all = (pattern: RegExp) => (script.match(pattern) ?? []).join('\n');
  const indexes = all(/^CREATE INDEX .*?;$/gms).replaceAll('CREATE INDEX', 'CREATE INDEX CONCURRENTLY');
  return {
    '0001_tables.sql': all(/^CREATE TABLE .*?;$/gms),
    '0002_data.sql': script.slice(script.search(/^INSERT INTO/m)),
    '0003_keys.sql': all(/^ALTER TABLE .*?;$/gms),
    '0004_indexes.sql': `-- tenantctl:no-transaction\n${indexes}`,
  };
}

async function countRows(db: Pick<TestDatabase, 'query'>, schema: string): Promise<Record<string, number>> {
  const counts = tables.map(([table]) => `select '${table}' as name, count(*)::int as n from ${schema}.${table}`);
  const rows = await db.query<{ name: string; n: number }>(counts.join(' union all '));
  return Object.fromEntries(rows.map(({ name, n }) => [name, n]));
}

async function contentOf(db: TestDatabase, schema: string): Promise<unknown> {
  const hashes = tables.map(
    ([table]) =>
      `select '${table}' as name, md5(string_agg(t::text, ',' order by t::text)) as hash from ${schema}.${table} t`,
  );
  const keys = await db.query(
    `select conname, pg_get_constraintdef(oid) as def from pg_constraint
      where connamespace = '${schema}'::regnamespace and contype = 'f' order by 1`,
  );
  const indexes = await db.query(
    `select indexrelid::regclass::name ~ '_idx' as idx, count(*) from pg_index i join pg_class c on c.oid = i.indexrelid
      where c.relnamespace = '${schema}'::regnamespace and c.relname not like 'pgmigrations%' and i.indisvalid group by 1 order by 1`,
  );
  const defs = keys.map((key) => JSON.stringify(key).replaceAll(`${schema}.`, ''));
  return { rows: await db.query(hashes.join(' union all ')), defs, indexes };
}

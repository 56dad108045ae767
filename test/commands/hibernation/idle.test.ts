import { appendFile, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { IdleValue } from '../../../src/commands/hibernation/idle-value.ts';
import { appendSamples, readSamples } from '../../../src/hibernation/idle/sample-file.ts';
import { createFleet, type TestFleet } from '../../support/fleet.ts';
import { openSession } from '../../support/sessions.ts';

const dayMs = 86_400_000;
const begin = Date.UTC(2026, 9, 1);

/** A look at a day of a month that passes in no time. */
async function look(fleet: TestFleet, day: number, flags = '') {
  const report = await fleet.json(`idle --all ${flags}`, { now: () => new Date(begin + day * dayMs) });
  const values = Object.fromEntries(
    report.outcomes.map(({ tenant, value }) => [tenant, value as unknown as IdleValue]),
  );
  const verdicts = Object.fromEntries(Object.entries(values).map(([tenant, value]) => [tenant, value?.verdict]));
  return { report, values, verdicts };
}

/** Looks every two days. */
async function watch(fleet: TestFleet, from: number, to: number): Promise<void> {
  for (let day = from; day <= to; day += 2) await look(fleet, day);
}

/** As the application does it. What it counted is told when its session ends. */
async function use(database: string, statement: string): Promise<void> {
  const session = await openSession(database);
  await session.raw(statement);
  await session.end();
}

const hibernate = { after: '10d', samples: 4 };
const migrations = { '0001_a.sql': 'CREATE TABLE notes (id int primary key, body text);' };

test('schemas: whoever is read or written is in use, the others are idle after enough samples, dumps are no use', async () => {
  const fleet = await createFleet({ schemas: 3, migrations, inventory: { hibernate, backups: { to: './backups' } } });
  await fleet.run('migrate --all', { now: () => new Date(begin - dayMs) });
  const first = await look(fleet, 0);
  expect(first.report.exitCode).toBe(0);
  expect(first.verdicts).toEqual({ t01: 'unknown', t02: 'unknown', t03: 'unknown' });
  expect(first.values.t01).toMatchObject({ why: 'watched for too short a time: it takes 10d', samples: 1 });
  expect(first.values.t01?.knowableAt).toBe(new Date(begin + 10 * dayMs).toISOString());
  await watch(fleet, 2, 4);
  expect((await fleet.run('dump --all', { now: () => new Date(begin + 5 * dayMs) })).exitCode).toBe(0);
  await watch(fleet, 6, 6);
  await use(fleet.db.name, 'SELECT * FROM tenant_t02.notes');
  await use(fleet.db.name, "INSERT INTO tenant_t03.notes VALUES (1, 'x')");
  await watch(fleet, 8, 8);
  const last = await look(fleet, 10);
  expect(last.verdicts).toEqual({ t01: 'idle', t02: 'in-use', t03: 'in-use' });
  expect(last.report.outcomes[0]?.tenant).toBe('t01');
  expect(last.values.t01).toMatchObject({ since: new Date(begin).toISOString(), lastUse: null, how: 'archive' });
  expect(last.values.t02?.lastUse).toBe(new Date(begin + 8 * dayMs).toISOString());
  expect(last.report.exitCode).toBe(0);
  const later = await look(fleet, 11, '--no-sample');
  expect(later.verdicts).toEqual(last.verdicts);
  expect(later.values.t01?.samples).toBe(last.values.t01?.samples);
});

test('a reset of the statistics, and a table that somebody dropped, begin the time anew; a transaction is use', async () => {
  const fleet = await createFleet({ schemas: 2, migrations, inventory: { hibernate } });
  await fleet.run('migrate --all', { now: () => new Date(begin - dayMs) });
  await fleet.db.query('CREATE TABLE tenant_t02.more ()');
  await watch(fleet, 0, 4);
  await fleet.db.query('DROP TABLE tenant_t02.more');
  await watch(fleet, 6, 8);
  const partly = await look(fleet, 10);
  expect(partly.verdicts).toEqual({ t01: 'idle', t02: 'unknown' });
  expect(partly.values.t02?.why).toContain('came or went');
  expect(partly.values.t02?.knowableAt).toBe(new Date(begin + 16 * dayMs).toISOString());
  await fleet.db.query('SELECT pg_stat_reset()');
  expect((await look(fleet, 12)).verdicts).toEqual({ t01: 'unknown', t02: 'unknown' });
  // Who is there right now needs no proof over time.
  const holder = await openSession(fleet.db.name);
  await holder.raw('BEGIN');
  await holder.raw('LOCK TABLE tenant_t01.notes IN ACCESS SHARE MODE');
  expect((await look(fleet, 12.1)).verdicts).toEqual({ t01: 'in-use', t02: 'unknown' });
  await holder.end();
});

test('databases: a session of anybody is use, one that is open too, those of tenantctl are not', async () => {
  const fleet = await createFleet({ databases: 2, inventory: { hibernate } });
  const [, second = ''] = fleet.databases;
  await watch(fleet, 0, 4);
  const drift = await fleet.run('drift --all', { now: () => new Date(begin + 5 * dayMs) });
  expect(drift.exitCode, drift.stderr).toBe(0);
  await watch(fleet, 6, 8);
  await use(second, 'SELECT 1');
  const last = await look(fleet, 10);
  expect(last.verdicts).toEqual({ d01: 'idle', d02: 'in-use' });
  expect(last.values.d01?.sizeBytes).toBeGreaterThan(1_000_000);
  const guest = await openSession(fleet.databases[0] ?? '');
  expect((await look(fleet, 10.1)).verdicts.d01).toBe('in-use');
  await guest.end();
});

test('the last login counts, and asking for it does not', async () => {
  const lastLogin = 'select max(at) from users -- of all\n;';
  const fleet = await createFleet({ schemas: 3, inventory: { hibernate: { ...hibernate, lastLogin } } });
  await fleet.db.query(
    'CREATE TABLE tenant_t01.users (at timestamptz); CREATE TABLE tenant_t02.users (at timestamptz)',
  );
  await fleet.db.query("INSERT INTO tenant_t02.users VALUES ('2026-10-09'), ('2026-01-01')");
  await watch(fleet, 0, 10);
  const last = await look(fleet, 12);
  expect(last.verdicts).toEqual({ t01: 'idle', t02: 'in-use', t03: undefined });
  expect(last.values.t02?.lastLogin).toBe('2026-10-09T00:00:00.000Z');
  expect(last.report.of('t03')).toMatchObject({ status: 'failed', error: { sqlState: '42P01' } });
  expect(last.report.exitCode).toBe(3);
  // Three looks have asked by now, and none of them is use.
  expect((await look(fleet, 13)).verdicts.t01).toBe('idle');
});

test('policy: tiers and names are exempt; a server at RDS is told as a whole', async () => {
  const policy = { ...hibernate, tiers: ['free'], never: ['acme', 'demo-*'] };
  const place = { server: 'main', labels: { tier: 'free' } };
  const fleet = await createFleet({ schemas: { x: 'sx' }, inventory: { hibernate: policy } });
  const tenants = ['acme', 'demo-1', 'gold', 'none', 'free'].map((id) => ({ ...place, id, schema: `s_${id}` }));
  await fleet.db.query(tenants.map(({ schema }) => `CREATE SCHEMA "${schema}"`).join(';'));
  const labels = [{}, {}, { labels: { tier: 'gold' } }, { labels: {} }, {}];
  const listed = tenants.map((tenant, index) => ({ ...tenant, database: fleet.db.name, ...labels[index] }));
  await fleet.writeInventory({ tenants: listed });
  await watch(fleet, 0, 8);
  const { values, verdicts } = await look(fleet, 10);
  expect(verdicts).toEqual({ acme: 'exempt', 'demo-1': 'exempt', gold: 'exempt', none: 'exempt', free: 'idle' });
  expect(['demo-1', 'gold', 'none'].map((id) => values[id]?.why)).toEqual([
    'hibernate.never has demo-*',
    'tier gold',
    'no label tier',
  ]);
  expect(values.free).toMatchObject({ tier: 'free', how: 'archive', isWholeServer: false });
  const servers = { main: { url: fleet.db.url, rds: { instance: 'saas' } } };
  await fleet.writeInventory({ tenants: listed, servers, hibernate });
  const whole = await look(fleet, 10.1);
  expect(whole.values.free).toMatchObject({ verdict: 'idle', how: 'stop', isWholeServer: true });
  const narrow = await fleet.json('idle -t free', { now: () => new Date(begin + 10.2 * dayMs) });
  expect(narrow.of('free').value).toMatchObject({ verdict: 'idle', how: 'archive', isWholeServer: false });
});

test('the file stays small, a line that is cut harms nothing', async () => {
  const fleet = await createFleet({ schemas: 1, inventory: { hibernate } });
  await look(fleet, 0);
  const [file = ''] = (await readdir(join(fleet.folder, '.tenantctl', 'idle'))).filter((name) =>
    name.startsWith('schemas'),
  );
  const path = join(fleet.folder, '.tenantctl', 'idle', file);
  const [[name, [first]] = ['', []]] = [...(await readSamples(path)).samples];
  for (let hour = 1; hour < 25; hour += 1) {
    const at = begin + (hour / 24) * dayMs;
    await appendSamples(path, new Map([[name, [{ ...first!, from: at, to: at }]]]));
  }
  await look(fleet, 25 / 24);
  expect((await readFile(path, 'utf8')).split('\n').filter((line) => line !== '').length).toBeLessThan(5);
  await appendFile(path, '\n{"schema":"tenantctl-idle/1","tenants":{"tenant_t01":[[17');
  const after = await look(fleet, 2);
  expect(after.values.t01).toMatchObject({ verdict: 'unknown', samples: 27 });
});

test('a schema that is missing fails, without a `hibernate` key the defaults count', async () => {
  const fleet = await createFleet({ schemas: { a: 'sa', b: 'sb' } });
  await fleet.db.query('DROP SCHEMA sb');
  const { report, values } = await look(fleet, 0);
  expect(report.exitCode).toBe(3);
  expect(report.of('b')).toMatchObject({ status: 'failed', error: { code: 'schema-missing' } });
  expect(values.a?.why).toContain('30d');
});

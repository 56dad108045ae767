import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/barrier.ts';
import { asSuperuser, databaseUrl } from '../support/database.ts';
import { asDatabase, runTool, toFolder } from '../support/dumps.ts';
import { createFleet, type TestFleet } from '../support/fleet.ts';
import { dropRolesAtEnd } from '../support/hibernated.ts';
import { openProxy } from '../support/proxy.ts';
import { makeRandom, type Random, testSeeds } from '../support/random.ts';
import { listBackups, soundBackups } from '../support/sound-store.ts';
import { spawnCli } from '../support/spawn-cli.ts';

const soak = process.env.TENANTCTL_SOAK === '1';

/** About how many messages go to the server: all, and those that change something or end a transaction. */
interface Messages {
  readonly all: number;
  readonly changes: number;
}

/** How tenants are put to sleep, and what that and waking them takes. */
interface Way {
  readonly name: string;
  readonly tenants: readonly string[];
  readonly flags: string;
  readonly hibernate: Messages;
  readonly wake: Messages;
}

const archive = '--yes --scratch main';
const ofSchema: Way = {
  ...{ name: 'archive of a schema', tenants: ['t01'], flags: archive },
  ...{ hibernate: { all: 370, changes: 38 }, wake: { all: 140, changes: 41 } },
};
const ofDatabase: Way = {
  ...{ name: 'archive of a database', tenants: ['d01'], flags: archive },
  ...{ hibernate: { all: 380, changes: 42 }, wake: { all: 170, changes: 42 } },
};
const lock: Way = {
  ...{ name: 'lock', tenants: ['d01'], flags: '--how lock' },
  ...{ hibernate: { all: 46, changes: 8 }, wake: { all: 50, changes: 8 } },
};

const allTenants = ['t01', 't02', 'd01', 'd02'];
/** What a message changes, or where a transaction ends. */
const change = /COMMIT|REVOKE|GRANT|DROP |ALTER |INSERT INTO|DELETE FROM|CREATE |pg_terminate_backend/;

describe.each(soak ? [ofSchema, ofDatabase, lock] : [ofSchema])('$name', (way) => {
  test.each(testSeeds(soak ? 30 : 1))(
    'killed at any moment, seed %i: nobody is lost, and the same command goes on from any machine',
    async (seed) => {
      const random = makeRandom(seed);
      const scene = await openScene(way, random);
      const { fleet } = scene;
      const before = await dumpsOf(fleet, allTenants);
      const others = { t02: before.t02, d02: before.d02 };
      const selected = `-t ${way.tenants.join(' ')}`;

      await killAndGoOn(scene, `hibernate ${selected} ${way.flags}`, way.hibernate);
      const stands = way === lock;
      for (const tenant of way.tenants) {
        expect(await whereIs(fleet, tenant)).toMatchObject({ stands, state: 'hibernated', isProven: !stands });
      }
      expect(await sessionsIn(fleet)).toEqual(way.tenants.includes('d01') ? [] : ['shop']);
      expect(await dumpsOf(fleet, ['t02', 'd02'])).toEqual(others);

      await fleet.write('0002_two.sql', 'CREATE TABLE two (id int);');
      await killAndGoOn(scene, `wake ${selected}`, way.wake);
      for (const tenant of way.tenants) {
        expect(await whereIs(fleet, tenant)).toEqual({ stands: true, state: null, isProven: false });
        expect(await historyOf(fleet, tenant)).toEqual(['0001_notes', '0002_two']);
        await logIn(scene, tenant);
      }
      expect(await dumpsOf(fleet, allTenants)).toEqual(before);
      expect((await listBackups(fleet)).filter(({ receipt }) => receipt?.living === true)).toEqual([]);
    },
  );
});

interface Scene {
  readonly way: Way;
  readonly fleet: TestFleet;
  readonly proxy: Awaited<ReturnType<typeof openProxy>>;
  readonly random: Random;
  /** Roles are named `<prefix>_t01`. */
  readonly prefix: string;
}

/** Two schemas and two databases, each with rows, an application of its own that is connected, and what a dump can lose. */
async function openScene(way: Way, random: Random): Promise<Scene> {
  const prefix = dropRolesAtEnd(...allTenants);
  const proxy = await openProxy();
  const fleet = await createFleet({
    ...{ schemas: 2, databases: 2, inventory: toFolder },
    migrations: { '0001_notes.sql': 'CREATE TABLE notes (id serial PRIMARY KEY, body text);' },
    url: (name) => `postgres://postgres@127.0.0.1:${proxy.port}/${name}?sslmode=disable`,
  });
  onTestFinished(() => dropLeftovers(fleet));
  const scene = { way, fleet, proxy, random, prefix };
  expect((await fleet.json('migrate --all')).exitCode).toBe(0);
  for (const tenant of allTenants) {
    const [role, schema] = [`${prefix}_${tenant}`, schemaOf(tenant)];
    await asDatabase(
      placeOf(fleet, tenant),
      `CREATE ROLE ${role} LOGIN; GRANT USAGE ON SCHEMA ${schema} TO ${role}; COMMENT ON SCHEMA ${schema} IS 'of old';
        GRANT SELECT, INSERT ON ${schema}.notes TO ${role} WITH GRANT OPTION; GRANT UPDATE (body) ON ${schema}.notes TO ${role};
        GRANT USAGE ON SEQUENCE ${schema}.notes_id_seq TO ${role}; ALTER TABLE ${schema}.pgmigrations OWNER TO ${role};
        INSERT INTO ${schema}.notes (body) SELECT 'note ' || n FROM generate_series(1, 30) n; DELETE FROM ${schema}.notes WHERE id > 25`,
    );
    await logIn(scene, tenant);
  }
  return scene;
}

/** A session of the tenant's application, which reads. */
async function logIn({ fleet, prefix }: Scene, tenant: string): Promise<void> {
  const url = new URL(databaseUrl(placeOf(fleet, tenant)));
  url.username = `${prefix}_${tenant}`;
  const client = new pg.Client({ connectionString: url.href, application_name: 'shop' });
  client.on('error', () => {});
  await client.connect();
  onTestFinished(() => client.end().catch(() => {}));
  expect((await client.query(`select from ${schemaOf(tenant)}.notes`)).rowCount).toBe(25);
}

/** Runs the program and kills it; then looks whether all is still there, and runs the same on a machine that knows nothing. */
async function killAndGoOn(scene: Scene, argv: string, messages: Messages): Promise<void> {
  const { way, fleet, random } = scene;
  const wasKilled = await runKilled(scene, argv, messages);
  // Now and then the other one is there before the server knows that its client is dead.
  if (random.chance(0.7)) {
    await sessionsHaveEnded(fleet);
    for (const tenant of way.tenants) {
      const { stands, isProven } = await whereIs(fleet, tenant);
      expect(stands || isProven, `${tenant} is lost`).toBe(true);
    }
  }
  await fleet.writeInventory({ state: './another-machine' });
  const report = await fleet.json(argv, { now: () => new Date(Date.now() + 60_000) });
  const tenants = report.outcomes.map(({ tenant, status, error }) => ({ tenant, status, error }));
  expect(tenants, `${wasKilled ? 'killed' : 'ended'}: ${argv}`).toEqual(
    way.tenants.toSorted().map((tenant) => ({ tenant, status: 'done', error: undefined })),
  );
  await fleet.writeInventory({});
}

/**
 * Kills it when so many messages, or so many that change something, went to the server. The last one arrives or does not;
 * the programs that it started go on for a moment, or lose their connections too, as when the power goes.
 */
async function runKilled(scene: Scene, argv: string, { all, changes }: Messages): Promise<boolean> {
  const { fleet, proxy, random } = scene;
  const counts = random.chance(0.4) ? () => true : (text: string) => change.test(text);
  let left = random.between(1, counts('') ? all : changes);
  const [last, losesPower] = [random.pick(['pass', 'break'] as const), random.chance(0.5)];
  const running = spawnCli(argv, fleet.folder);
  proxy.watch((text) => {
    if (!counts(text)) return 'pass';
    left -= 1;
    if (left > 0) return 'pass';
    proxy.watch(null);
    running.kill('SIGKILL');
    if (losesPower) setImmediate(proxy.drop);
    return last;
  });
  const { killedBy, exitCode, stderr } = await running.ended;
  proxy.watch(null);
  expect(killedBy === 'SIGKILL' || exitCode === 0, stderr).toBe(true);
  return killedBy === 'SIGKILL';
}

/** No session of a run of the first machine is left. */
async function sessionsHaveEnded(fleet: TestFleet): Promise<void> {
  const runs = await readdir(join(fleet.folder, '.tenantctl', 'runs')).catch(() => []);
  const names = runs.map((run) => `tenantctl/${run.split('-').at(-1)}/%`);
  await eventually('the sessions of killed runs have ended', async () => {
    const left = await fleet.db.query('select from pg_stat_activity where application_name like any ($1)', [names]);
    return left.length === 0 ? true : null;
  });
}

interface Whereabouts {
  /** It is where it was, with all of its rows. */
  readonly stands: boolean;
  readonly state: string | null;
  /** Its row has a receipt, the receipt an archive that is whole, was restored, and does not expire. */
  readonly isProven: boolean;
}

async function whereIs(fleet: TestFleet, tenant: string): Promise<Whereabouts> {
  return asSuperuser(async (admin) => {
    const [place, schema] = [placeOf(fleet, tenant), tenant.startsWith('d') ? '' : schemaOf(tenant)];
    const query = (text: string, values: readonly string[] = []) =>
      schema === '' ? admin.query(text, [...values]).then(({ rows }) => rows) : fleet.db.query(text, values);
    const [row] = await query('select * from tenantctl.tenant where database = $1 and schema = $2', [
      ...[place, schema],
    ]).catch(() => []);
    const [found] =
      schema === ''
        ? await query('select datallowconn as open from pg_database where datname = $1', [place])
        : await query('select true as open from pg_namespace where nspname = $1', [schema]);
    const stands = found !== undefined && (!found.open || (await hasItsRows(place, schemaOf(tenant))));
    return { stands, state: row?.state ?? null, isProven: await isProven(fleet, row?.receipt ?? null) };
  });
}

async function hasItsRows(database: string, schema: string): Promise<boolean> {
  const client = new pg.Client(databaseUrl(database));
  await client.connect();
  try {
    const { rows } = await client.query(
      `select count(*)::int as count, md5(string_agg(n::text, ',' order by id)) as sum from ${schema}.notes n`,
    );
    return rows[0].count === 25 && rows[0].sum === (await client.query(expectedSum)).rows[0].sum;
  } finally {
    await client.end();
  }
}

const expectedSum = `select md5(string_agg(n::text, ',' order by id)) as sum
  from (select n as id, 'note ' || n as body from generate_series(1, 25) n) n`;

async function isProven(fleet: TestFleet, receipt: SleepReceipt | null): Promise<boolean> {
  if (receipt === null) return false;
  const { time, sha256 } = receipt.backup;
  const backup = (await listBackups(fleet)).find((each) => each.time === time && each.tenant === receipt.tenant);
  const passed = backup?.verification?.results.some(
    ({ level, verdict }) => level === 'restore' && verdict === 'passed',
  );
  const sound = await soundBackups(fleet);
  return passed === true && backup?.receipt?.living === true && sound[backup.keys.file!] === sha256;
}

interface SleepReceipt {
  readonly tenant: string;
  readonly backup: { readonly time: string; readonly sha256: string };
}

function placeOf(fleet: TestFleet, tenant: string): string {
  return tenant.startsWith('d') ? fleet.databases[Number(tenant.slice(1)) - 1]! : fleet.db.name;
}

function schemaOf(tenant: string): string {
  return tenant.startsWith('d') ? 'public' : `tenant_${tenant}`;
}

/** All of them as pg_dump sees them, but for what the migrations of this test add. */
async function dumpsOf(fleet: TestFleet, tenants: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const dumps = tenants.map(async (tenant) => {
    const what = tenant.startsWith('d') ? ['--create'] : ['-n', schemaOf(tenant)];
    const without = ['-T', '*.two', '--exclude-table-data', '*.pgmigrations', '-T', '*.pgmigrations_id_seq'];
    const text = await runTool('pg_dump', [...what, ...without, '-d', databaseUrl(placeOf(fleet, tenant))]);
    const differs = /^(?:-- Dumped (?:from|by) .*|\\(?:un)?restrict .*|SELECT .*pgmigrations_id_seq.*)\n/gm;
    return [tenant, text.replace(differs, '')] as const;
  });
  return Object.fromEntries(await Promise.all(dumps));
}

async function historyOf(fleet: TestFleet, tenant: string): Promise<readonly string[]> {
  const client = new pg.Client(databaseUrl(placeOf(fleet, tenant)));
  await client.connect();
  try {
    const { rows } = await client.query(`select name from ${schemaOf(tenant)}.pgmigrations order by id`);
    return rows.map(({ name }) => name);
  } finally {
    await client.end();
  }
}

/** Who is in the database of d01. */
async function sessionsIn(fleet: TestFleet): Promise<readonly string[]> {
  const rows = await fleet.db.query<{ name: string }>(
    `select application_name as name from pg_stat_activity where datname = $1 and backend_type = 'client backend'`,
    [placeOf(fleet, 'd01')],
  );
  return rows.map(({ name }) => name);
}

/** Databases that belong to no tenant: whoever comes next would take them away. */
async function dropLeftovers({ folder }: TestFleet): Promise<void> {
  const states = ['.tenantctl', 'another-machine'].map((state) => readdir(join(folder, state, 'runs')).catch(() => []));
  const runs = (await Promise.all(states)).flat().map((run) => run.toLowerCase().split('-').at(-1)!);
  await asSuperuser(async (admin) => {
    const { rows } = await admin.query<{ name: string }>(
      `select datname as name from pg_database where datname like 'tenantctl\\_%'`,
    );
    const ours = rows.filter(({ name }) => runs.some((run) => name.includes(`_${run}_`) || name.includes(`z${run}_`)));
    for (const { name } of ours) await admin.query(`drop database ${pg.escapeIdentifier(name)} with (force)`);
  });
}

import { describe, expect, test } from 'vitest';
import { asSuperuser, databaseUrl } from '../../support/database.ts';
import { createFleet, type FleetReport, type TestFleet } from '../../support/fleet.ts';
import { connectSession } from '../../support/sessions.ts';

const migrations = {
  '0001_users.sql': `CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE, mood mood);`,
  '0002_tasks.sql': `CREATE TABLE tasks (
      id serial PRIMARY KEY, owner bigint NOT NULL REFERENCES users, title varchar(80) DEFAULT 'new' CHECK (title <> ''),
      due date);
    CREATE INDEX tasks_due_idx ON tasks (due) WHERE due IS NOT NULL;`,
  '0003_open.sql': `CREATE VIEW open_tasks AS SELECT t.id, u.email FROM tasks t JOIN users u ON u.id = t.owner;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER touched BEFORE UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION touch();`,
  '0004_later.sql': 'CREATE TABLE later (id int);',
};
const firstThree = ['0001_users', '0002_tasks', '0003_open'];

/** What another tool has built, with the history that it left. */
async function buildByHand(fleet: TestFleet, schema: string, more = ''): Promise<void> {
  const files = [migrations['0001_users.sql'], migrations['0002_tasks.sql'], migrations['0003_open.sql']];
  await fleet.db.query(`SET search_path TO ${schema}; ${files.join('\n')} ${more}; RESET search_path`);
}

type Report = FleetReport & { readonly dryRun?: boolean };

async function handMade(schemas: number): Promise<TestFleet> {
  const fleet = await createFleet({ schemas, migrations });
  for (let n = 1; n <= schemas; n += 1) await buildByHand(fleet, `tenant_t${String(n).padStart(2, '0')}`);
  return fleet;
}

/** Databases and schemas of tenantctl's own that should not be there. */
async function leftovers(fleet: TestFleet): Promise<readonly unknown[]> {
  const schemas = await fleet.db.query(`select nspname from pg_namespace where nspname like 'tenantctl%'`);
  const databases = await asSuperuser((admin) =>
    admin.query(`select datname from pg_database where datname like 'tenantctl_scratch%'`),
  );
  return [...schemas, ...databases.rows];
}

test('fifty tenants, one of them different: the others are recorded, the report says what it lacks', async () => {
  const fleet = await handMade(50);
  await fleet.db.query('drop index tenant_t23.tasks_due_idx');
  const report = await fleet.json('migrate baseline --all --at 0003 --yes');
  expect([report.exitCode, report.totals]).toMatchObject([3, { done: 49, failed: 1 }]);
  expect(report.of('t23').error).toMatchObject({
    code: 'differs',
    message: 'the schema is not what the migrations up to 0003_open build: lacks index tasks_due_idx',
  });
  expect(report.of('t07').value).toMatchObject({ at: '0003_open', recorded: firstThree, comparison: 'equal' });
  expect(await fleet.history('tenant_t23')).toBeNull();
  for (const schema of ['tenant_t01', 'tenant_t50']) expect(await fleet.history(schema)).toEqual(firstThree);
  expect(await leftovers(fleet)).toEqual([]);
  // What comes next is what was not recorded, and the checksums fit.
  const next = await fleet.json('migrate --all --except t23');
  expect([next.exitCode, next.of('t01').value?.applied]).toEqual([0, ['0004_later']]);
});

test('a dry run shows the groups, and writes nothing', async () => {
  const fleet = await handMade(5);
  await fleet.db.query(`alter table tenant_t02.users alter email drop not null; drop view tenant_t03.open_tasks;
    create table tenant_t04.legacy (id int primary key); drop view tenant_t05.open_tasks`);
  const { exitCode, stdout } = await fleet.run('migrate baseline --all --at 0003 --dry-run');
  expect(exitCode).toBe(3);
  expect(stdout).toContain(`environment test: baseline at 0003_open, 3 migrations
1 tenant as the migrations build it

2 tenants: the schema is not what the migrations up to 0003_open build: lacks view open_tasks
  t03 and t05
`);
  expect(stdout).toContain('build: column users.email is text, not text not null\n');
  expect(stdout).toContain('build: has the additional table legacy\n');
  for (const n of [1, 2, 3, 4, 5]) expect(await fleet.history(`tenant_t0${n}`)).toBeNull();
  const report = (await fleet.json('migrate baseline --all --at 0003 --dry-run')) as Report;
  expect([report.dryRun, report.run]).toEqual([true, null]);
  expect(await leftovers(fleet)).toEqual([]);
});

test('--accept-differences records those too, and says in the report what they are', async () => {
  const fleet = await handMade(2);
  await fleet.db.query('alter table tenant_t02.users add note text');
  const report = await fleet.json('migrate baseline --all --at 0003 --accept-differences --yes');
  expect([report.exitCode, report.summary]).toEqual([0, 't01 done, t02 done']);
  expect(report.of('t02').value).toMatchObject({
    comparison: 'different',
    differences: [{ kind: 'column', name: 'users.note', expected: null, found: 'text' }],
  });
  expect(await fleet.history('tenant_t02')).toEqual(firstThree);
});

test('a tenant with a history is left alone; with exactly this one it is done', async () => {
  const fleet = await createFleet({ schemas: 4, migrations });
  await fleet.run('migrate -t t01 t02 --to 0003');
  await fleet.run('migrate -t t02');
  await buildByHand(fleet, 'tenant_t03');
  // An empty table of node-pg-migrate is no history.
  await fleet.db.query(`create table tenant_t03.pgmigrations
    (id serial primary key, name varchar(255) not null, run_on timestamp not null)`);
  await fleet.run('migrate -t t04 --to 0001 --fake');
  const report = await fleet.json('migrate baseline --all --at 0003 --yes');
  expect([report.exitCode, report.summary]).toEqual([3, 't01 done, t02 failed, t03 done, t04 failed']);
  expect(report.of('t01').value).toEqual({ at: '0003_open', recorded: [] });
  expect(report.of('t02').error).toMatchObject({ code: 'has-history', message: expect.stringContaining('0004_later') });
  expect(await fleet.history('tenant_t03')).toEqual(firstThree);
  expect(await fleet.history('tenant_t04')).toEqual(['0001_users']);
  // Once more: nothing to do, and nobody is asked.
  const again = await fleet.run('migrate baseline -t t01 t03 --at 0003');
  expect([again.exitCode, again.stdout]).toEqual([0, expect.stringContaining('2 tenants with exactly this history')]);
});

describe('consent', () => {
  test.each([[{ answers: ['no'] }], [{}]])('not without: %j', async (options) => {
    const fleet = await handMade(1);
    const { exitCode } = await fleet.run('migrate baseline --all --at 0003', options);
    expect([exitCode, await fleet.history('tenant_t01')]).toEqual([5, null]);
  });

  test('a person sees the plan and types the environment', async () => {
    const fleet = await handMade(2);
    await fleet.db.query('drop view tenant_t02.open_tasks');
    const { exitCode, stderr } = await fleet.run('migrate baseline --all --at 0003', { answers: ['test'] });
    expect([exitCode, stderr]).toEqual([3, expect.stringContaining('1 tenant as the migrations build it')]);
    expect(stderr).toContain('1 tenant not recorded: lacks view open_tasks\n');
    expect([await fleet.history('tenant_t01'), await fleet.history('tenant_t02')]).toEqual([firstThree, null]);
  });
});

test('names the tools that were here before, and leaves their tables out of the comparison', async () => {
  const fleet = await handMade(4);
  await fleet.db.query(`
    create table tenant_t01.flyway_schema_history (installed_rank int primary key, version text, success bool);
    insert into tenant_t01.flyway_schema_history values (1, '41', true), (2, '42', true), (3, '43', false);
    create table tenant_t02.schema_migrations (version varchar primary key);
    insert into tenant_t02.schema_migrations values ('20240101000000'), ('20250101000000');
    create table tenant_t02.ar_internal_metadata (key varchar primary key, value varchar);
    create table tenant_t03.django_migrations (id serial primary key, app text, name text, applied timestamptz);
    insert into tenant_t03.django_migrations (app, name) values ('app', '0001_initial'), ('app', '0002_more')`);
  const report = await fleet.json('migrate baseline --all --at 0003 --dry-run');
  expect(report.outcomes.map(({ value }) => value)).toMatchObject([
    { comparison: 'equal', tools: [{ tool: 'Flyway', lastVersion: '42' }] },
    { comparison: 'equal', tools: [{ tool: 'Rails', lastVersion: '20250101000000' }] },
    { comparison: 'equal', tools: [{ tool: 'Django', lastVersion: 'app.0002_more' }] },
    { comparison: 'equal', tools: [] },
  ]);
  const { stdout } = await fleet.run('migrate baseline --all --at 0003 --dry-run');
  expect(stdout).toContain('Flyway was here before: 1 tenant at 42\n');
});

test('tenants with a database of their own are compared too, also when files say public', async () => {
  const fleet = await createFleet({
    databases: 2,
    migrations: {
      '0001_a.sql': `CREATE EXTENSION IF NOT EXISTS citext; CREATE TABLE public.a (id int, name citext);`,
      '0002_b.sql': 'DROP TABLE IF EXISTS public.b; CREATE TABLE public.b (id int); CREATE INDEX b_id ON b (id);',
    },
  });
  const made = await fleet.json('migrate --all');
  expect(made.exitCode).toBe(0);
  await inDatabase(fleet.databases[0]!, 'drop table pgmigrations');
  await inDatabase(fleet.databases[1]!, 'drop table pgmigrations; drop index b_id; insert into b values (7)');
  const report = await fleet.json('migrate baseline --all --at 0002 --yes');
  expect([report.exitCode, report.summary]).toEqual([3, 'd01 done, d02 failed']);
  expect(report.of('d01').value).toMatchObject({ comparison: 'equal', recorded: ['0001_a', '0002_b'] });
  expect(report.of('d02').error?.message).toContain('lacks index b_id');
  expect(await inDatabase(fleet.databases[1]!, 'select id from b')).toEqual([{ id: 7 }]);
  expect(await leftovers(fleet)).toEqual([]);
});

describe('a comparison that is not possible is told, and the baseline goes on', () => {
  test.each([
    [
      '-- tenantctl:no-transaction\nCREATE INDEX CONCURRENTLY x ON users (mood);',
      '0003_open runs without a transaction',
    ],
    ['CREATE TABLE x (id int); COMMIT;', 'transaction control inside a migration'],
    ['CREATE TABLE x (id nonsense);', '0003_open: type "nonsense" does not exist'],
    ['CREATE TABLE x (id int', '0003_open is not understood by the parser'],
  ])('%s', async (text, because) => {
    const fleet = await handMade(2);
    await fleet.write('0003_open.sql', text);
    const report = await fleet.json('migrate baseline --all --at 0003 --yes');
    expect([report.exitCode, report.summary]).toEqual([0, 't01 done, t02 done']);
    expect(report.of('t01').value).toMatchObject({
      comparison: 'not-possible',
      because: expect.stringContaining(because),
      recorded: firstThree,
    });
    expect(await leftovers(fleet)).toEqual([]);
  });

  test('a JavaScript file that commits leaves nothing behind', async () => {
    const fleet = await handMade(1);
    await fleet.write('0003_open.sql', null);
    await fleet.write('0003_open.js', `export const up = async (pgm) => { await pgm.db.query('COMMIT'); };`);
    const report = await fleet.json('migrate baseline --all --at 0003 --yes');
    expect(report.of('t01').value).toMatchObject({
      because: expect.stringContaining('0003_open: transaction control inside a migration'),
    });
    expect(await leftovers(fleet)).toEqual([]);
  });

  test('without the right to make a schema', async () => {
    const fleet = await handMade(1);
    const role = `${fleet.db.name}_login`;
    await fleet.db.query(`create role ${role} login; grant usage, create on schema tenant_t01 to ${role}`);
    const url = databaseUrl('postgres').replace(/[^/]+(?=@)/, role);
    await fleet.writeInventory({ servers: { main: { url } } });
    const report = await fleet.json('migrate baseline --all --at 0003 --yes');
    expect(report.of('t01')).toMatchObject({
      status: 'done',
      value: { because: expect.stringContaining('permission denied') },
    });
    await fleet.db.query(`drop owned by ${role}; drop role ${role}`);
  });
});

test('what tenants share is seen by the migrations that are tried out, and not changed', async () => {
  const fleet = await createFleet({
    schemas: 2,
    migrations: { '0001_a.sql': 'CREATE TABLE a (c int REFERENCES countries); INSERT INTO countries VALUES (2);' },
  });
  await fleet.db.query(`create table public.countries (id int primary key); insert into public.countries values (1);
    create table tenant_t01.a (c int references public.countries); create table tenant_t02.a (c int)`);
  const report = await fleet.json('migrate baseline --all --at 0001 --yes');
  expect(report.summary).toBe('t01 done, t02 failed');
  expect(report.of('t02').error?.message).toContain('lacks constraint a.a_c_fkey');
  expect(await fleet.db.query('select id from public.countries')).toEqual([{ id: 1 }]);
});

describe('what is not understood', () => {
  test.each([
    ['migrate baseline --all', '--at 0005'],
    ['migrate baseline --all --at 0009', 'no migration is named 0009'],
    ['migrate baseline --at 0001', 'no tenant is selected'],
  ])('%s', async (argv, words) => {
    const fleet = await createFleet({ schemas: 1, migrations });
    const { exitCode, stderr } = await fleet.run(argv);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(words)]);
  });
});

async function inDatabase(database: string, text: string): Promise<unknown[]> {
  const session = await connectSession(database);
  const { rows } = await session.raw(text);
  await session.end();
  return rows;
}

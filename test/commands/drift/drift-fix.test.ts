import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createFleet, type ReportedOutcome, type TestFleet } from '../../support/fleet.ts';

/** The dearest cases are left to `npm run test:soak`. */
const soak = process.env.TENANTCTL_SOAK === '1';

const migrations = {
  '0001_users.sql': `create table users (id integer primary key, email text not null default 'x', note text);
create index users_email_idx on users (email);
create function mine() returns text language sql security definer set search_path = pg_catalog as 'select 1::text';
create view notes as select id, note from users;`,
};

async function migratedFleet(schemas = 4): Promise<TestFleet> {
  const fleet = await createFleet({ schemas, migrations });
  expect((await fleet.run('migrate --all')).exitCode).toBe(0);
  return fleet;
}

interface FixOutcome {
  readonly statements: number;
  readonly left: readonly string[];
}

function fixOf({ value }: ReportedOutcome): FixOutcome {
  return value as unknown as FixOutcome;
}

it('shows the SQL and changes nothing', async () => {
  const fleet = await migratedFleet();
  await fleet.db.query('drop index tenant_t03.users_email_idx');
  const result = await fleet.run('drift fix --all');
  expect(result.exitCode).toBe(0);
  expect(result.stdout).toContain('plan, nothing was changed');
  expect(result.stdout).toContain('1 tenant (t03): 1 statement');
  expect(result.stdout).toContain('CREATE INDEX users_email_idx ON users USING btree (email);');
  expect(result.stdout).toContain('! index-not-concurrent users');
  expect((await fleet.run('drift --all')).exitCode).toBe(1);
});

it('runs it when asked, and nothing is left', async () => {
  const fleet = await migratedFleet();
  await fleet.db.query(`drop index tenant_t03.users_email_idx;
    alter table tenant_t02.users alter column email drop not null;
    alter function tenant_t02.mine() security invoker`);
  const report = await fleet.json('drift fix --all --apply --yes');
  expect(report.summary).toBe('t01 done, t02 done, t03 done, t04 done');
  expect(fixOf(report.of('t02'))).toEqual({ statements: 2, left: [], whole: true });
  expect(fixOf(report.of('t01'))).toEqual({ statements: 0, left: [], whole: true });
  expect(report.run).not.toBeNull();
  expect((await fleet.run('drift --all --fail-on broken,security,structural,cosmetic')).exitCode).toBe(0);
  expect((await fleet.json('drift fix --all --apply --yes')).run).toBeNull();
});

it('asks before it changes anything', async () => {
  const fleet = await migratedFleet();
  await fleet.db.query('drop index tenant_t03.users_email_idx');
  const refused = await fleet.run('drift fix --all --apply');
  expect(refused.exitCode).toBe(5);
  const asked = await fleet.run('drift fix --all --apply', { answers: ['no'] });
  expect(asked.exitCode).toBe(5);
  expect(asked.questions[0]).toContain('(test)');
  expect((await fleet.run('drift --all')).exitCode).toBe(1);
  expect((await fleet.run('drift fix --all --apply', { answers: ['test'] })).exitCode).toBe(0);
});

it('drops what holds data only when that is said', async () => {
  const fleet = await migratedFleet();
  await fleet.db.query('alter table tenant_t02.users add column tmp text; create table tenant_t02.scratch (x int)');
  const shown = await fleet.run('drift fix --all');
  expect(shown.exitCode).toBe(1);
  expect(shown.stdout).toContain('not fixed: has an extra table scratch (it may hold data: --allow-drop)');
  expect(shown.stdout).toContain('not fixed: has an extra column users.tmp (text) (it may hold data: --allow-drop)');
  const kept = await fleet.json('drift fix --all --apply --yes');
  expect(fixOf(kept.of('t02')).left).toHaveLength(2);
  const dropped = await fleet.run('drift fix --all --allow-drop');
  expect(dropped.stdout).toContain('data are lost: column users.tmp');
  expect(dropped.stdout).toContain('! drop-table scratch');
  expect((await fleet.run('drift fix --all --allow-drop --apply --yes')).exitCode).toBe(0);
  expect(await fleet.tables()).not.toContain('tenant_t02.scratch');
});

it('does half a fix only when that is said', async () => {
  const fleet = await migratedFleet();
  await fleet.db.query('drop index tenant_t02.users_email_idx; alter table tenant_t02.users add column tmp text');
  const refused = await fleet.json('drift fix --all --apply --yes');
  expect(refused.exitCode).toBe(3);
  expect(refused.of('t02').error).toMatchObject({ code: 'not-supported' });
  expect((await fleet.run('drift --all')).stdout).toContain('users_email_idx');
  const partial = await fleet.json('drift fix --all --apply --yes --partial');
  expect(partial.exitCode).toBe(1);
  expect(fixOf(partial.of('t02'))).toMatchObject({ statements: 1, left: [expect.stringContaining('users.tmp')] });
});

it('leaves a tenant as it was when a statement fails, and goes on with the others', async () => {
  const fleet = await migratedFleet(5);
  await fleet.db.query(`alter table tenant_t02.users drop constraint users_pkey;
    insert into tenant_t02.users (id) values (1), (1);
    alter table tenant_t03.users drop constraint users_pkey`);
  const report = await fleet.json('drift fix --all --apply --yes');
  expect(report.summary).toBe('t01 done, t02 failed, t03 done, t04 done, t05 done');
  expect(report.of('t02').error?.sqlState).toBe('23505');
  expect(await fleet.db.query('select count(*)::int as n from tenant_t02.users')).toEqual([{ n: 2 }]);
});

it('rolls a tenant back that would still differ', async () => {
  const fleet = await migratedFleet();
  await fleet.db.query('drop index tenant_t02.users_email_idx');
  // Whatever is built, somebody's event trigger changes it.
  await fleet.db.query(`create function public.spoil() returns event_trigger language plpgsql as $$
    begin execute 'alter index users_email_idx rename to spoiled'; end $$;
    create event trigger spoil on ddl_command_end when tag in ('CREATE INDEX') execute function public.spoil()`);
  const report = await fleet.json('drift fix --all --apply --yes');
  expect(report.of('t02').error).toMatchObject({ code: 'still-different' });
  const indexes = await fleet.db.query(
    "select 1 from pg_indexes where schemaname = 'tenant_t02' and indexname = 'spoiled'",
  );
  expect(indexes).toEqual([]);
});

it.runIf(soak)('puts the tenant’s own names into what it makes', async () => {
  const fleet = await createFleet({
    schemas: 3,
    migrations: {
      '0001_f.sql': `do $$ begin execute format('create function f() returns text language sql security definer set search_path = %I as ''select 1::text''', current_schema()); end $$;`,
    },
  });
  expect((await fleet.run('migrate --all')).exitCode).toBe(0);
  await fleet.db.query('drop function tenant_t02.f()');
  const shown = await fleet.run('drift fix --all');
  expect(shown.stdout).toContain('SET search_path TO "{schema}"');
  expect((await fleet.run('drift fix --all --apply --yes')).exitCode).toBe(0);
  const settings = await fleet.db.query(
    "select proconfig from pg_proc where pronamespace = 'tenant_t02'::regnamespace",
  );
  expect(settings).toEqual([{ proconfig: ['search_path=tenant_t02'] }]);
});

it('writes the SQL to a file', async () => {
  const fleet = await migratedFleet();
  await fleet.db.query('drop index tenant_t03.users_email_idx');
  expect((await fleet.run('drift fix --all --out fix.sql')).exitCode).toBe(0);
  const text = await readFile(join(fleet.folder, 'fix.sql'), 'utf8');
  expect(text).toContain('-- 1 tenant, held to majority: t03');
  expect(text).toContain('CREATE INDEX users_email_idx ON users');
  expect((await fleet.run('drift fix --all --out no/such/fix.sql')).exitCode).toBe(2);
});

it.each([
  ['--yes', '--yes goes with --apply'],
  ['--partial', '--partial goes with --apply'],
  ['--apply --dry-run', '--apply and --dry-run exclude each other'],
])('refuses %s', async (flags, message) => {
  const fleet = await createFleet({ schemas: 1 });
  const result = await fleet.run(`drift fix --all ${flags}`);
  expect(result.exitCode).toBe(2);
  expect(result.stderr).toContain(message);
});

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { asSuperuser } from '../../support/database.ts';
import { createFleet, type FleetReport, type ReportedOutcome } from '../../support/fleet.ts';

/** What the other cases nearly show too is for the long run. */
const soak = process.env.TENANTCTL_SOAK === '1';

/** The last one has names that must be quoted, each in its way. */
const schemas = { a: 's_a', b: 's_b', c: 's_c', "o'd-4": 'S-d' };
const ids = Object.keys(schemas) as (keyof typeof schemas)[];
const fleet = await createFleet({ schemas, until: 'file' });

/** Sums up what every tenant of the fleet has. */
const base = ([id, schema]: [string, string]) => `
  set search_path = "${schema}";
  create table jobs (id int primary key, status text default 'new', note varchar(20), size int default 5);
  create table templates (tenant text default '${schema}', path text default 'x/{schema}/{id}');
  create sequence invoice_no;
  create table invoices (no int primary key default nextval('invoice_no'), total int);
  create view busy as select id, status from jobs;
  create materialized view days as select ('2024-01-01 02:00:00+00'::timestamptz)::date as day;
  create function whoami() returns text language sql as 'select ''${id.replaceAll("'", "''''")}''::text';
  create type mood as enum ('sad', 'ok');
  reset search_path`;
await fleet.db.query(Object.entries(schemas).map(base).join(';'));

async function inTenant(tenant: keyof typeof schemas, text: string): Promise<unknown> {
  return fleet.db.query(`set search_path = "${schemas[tenant]}"; ${text}; reset search_path`);
}

async function valuesIn<T>(tenant: keyof typeof schemas, text: string): Promise<readonly T[]> {
  await fleet.db.query(`set search_path = "${schemas[tenant]}"`);
  const rows = await fleet.db.query(text);
  await fleet.db.query('reset search_path');
  return rows.map((row) => Object.values(row as object)[0] as T);
}

interface FixValue {
  readonly statements: number;
  readonly left: readonly string[];
  readonly whole: boolean;
}

const fixOf = ({ value }: ReportedOutcome) => value as unknown as FixValue;
const apply = (more = ''): Promise<FleetReport> => fleet.json(`drift fix --all --apply --yes ${more}`);

async function accept(...entries: readonly object[]): Promise<string> {
  const usual = { tenants: ['*'], reason: 'known', until: '2999-01-01' };
  const text = JSON.stringify({ version: 1, accepted: entries.map((each) => ({ ...usual, ...each })) });
  await writeFile(join(fleet.folder, 'accepted.yaml'), text);
  return '--accepted accepted.yaml';
}

async function makeRole(name: string): Promise<string> {
  const role = `${fleet.db.name}_${name}`;
  await asSuperuser(async (admin) => void (await admin.query(`create role ${role}`)));
  onTestFinished(async () => {
    await fleet.db.query(`drop owned by ${role}`);
    await asSuperuser(async (admin) => void (await admin.query(`drop role ${role}`)));
  });
  return role;
}

const defaultsOf = (table: string) =>
  `select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = '${table}'::regclass order by adnum`;

/** What one case has broken is not another's. */
afterAll(async () => {
  const report = await fleet.json('drift --all');
  expect(report.exitCode, JSON.stringify(report.outcomes)).toBe(0);
});

describe('names', () => {
  it('are put into a table that is made, and braces of its own stay braces', async () => {
    const before = await valuesIn("o'd-4", defaultsOf('templates'));
    await inTenant("o'd-4", 'drop table templates');
    expect((await apply()).exitCode).toBe(0);
    expect(await valuesIn("o'd-4", defaultsOf('templates'))).toEqual(before);
    await inTenant('c', "alter table templates alter tenant set default '{schema}'");
    const found = await fleet.run('drift --all');
    expect([found.exitCode, found.stdout]).toEqual([1, expect.stringContaining("'{=schema}'::text")]);
    expect((await apply()).exitCode).toBe(0);
    expect(await valuesIn('c', defaultsOf('templates'))).toEqual(["'s_c'::text", "'x/{schema}/{id}'::text"]);
  });

  it('are quoted in bodies', async () => {
    await inTenant("o'd-4", 'drop function whoami()');
    expect((await apply()).exitCode).toBe(0);
    expect(await valuesIn("o'd-4", 'select whoami()')).toEqual(["o'd-4"]);
  });

  it('are no words that all tenants have', async () => {
    const inAll = (text: string) => Promise.all(ids.map((id) => inTenant(id, text)));
    // The status of all is `a`, which is the name of one.
    await inAll("alter table jobs alter status set default 'a'");
    expect((await fleet.run('drift --all --against tenant:b')).exitCode).toBe(0);
    expect((await fleet.run('drift --all --against tenant:a')).exitCode).toBe(0);
    await inTenant('c', 'alter table jobs alter status drop default');
    const refused = await apply('--against tenant:a');
    expect(fixOf(refused.of('c'))).toMatchObject({ statements: 0, left: [expect.stringContaining('jobs.status')] });
    expect(fixOf(refused.of('b'))).toMatchObject({ statements: 0, whole: true });
    expect((await apply()).exitCode).toBe(0);
    expect(await valuesIn('c', defaultsOf('jobs'))).toEqual(["'a'::text", '5']);
    await inAll("alter table jobs alter status set default 'new'");
  });

  it('stand in the file for each tenant', async () => {
    await inTenant("o'd-4", 'drop function whoami()');
    expect((await fleet.run('drift fix --all --out fix.sql')).exitCode).toBe(0);
    const text = await readFile(join(fleet.folder, 'fix.sql'), 'utf8');
    expect(text).not.toContain('{schema}');
    expect(text).toContain(`SET LOCAL search_path = "S-d", "public", "pg_catalog";`);
    await fleet.db.query(text);
    expect(await valuesIn("o'd-4", 'select whoami()')).toEqual(["o'd-4"]);
  });
});

describe('what a tenant has', () => {
  it('is computed by the settings of its own database', async () => {
    await fleet.db.query(`alter database ${fleet.db.name} set timezone = 'America/New_York'`);
    onTestFinished(() => void fleet.db.query(`alter database ${fleet.db.name} reset timezone`));
    await inTenant('c', `drop materialized view days; create materialized view days as select current_date as day`);
    expect((await apply()).exitCode).toBe(0);
    expect(await valuesIn('c', 'select day::text from days')).toEqual(['2023-12-31']);
  });

  it('keeps what is accepted of something that is made anew', async () => {
    const role = await makeRole('reader');
    await inTenant(
      'c',
      `create or replace view busy as select id, status, 1 as more from jobs; grant select on busy to ${role};
       drop view busy cascade; alter table jobs alter size type bigint, alter size set default 77;
       create view busy as select id, status, 1 as more from jobs; grant select on busy to ${role}`,
    );
    const accepted = await accept(
      { kind: 'privileges', name: 'view busy' },
      { kind: 'column', name: 'jobs.size', attribute: 'default' },
    );
    expect((await apply(`${accepted} --allow-drop`)).exitCode).toBe(0);
    expect(await valuesIn('c', `select has_table_privilege('${role}', 'busy', 'select')`)).toEqual([true]);
    expect(await valuesIn('c', defaultsOf('jobs'))).toEqual(["'new'::text", '77']);
    expect(fixOf((await apply()).of('c'))).toMatchObject({ whole: true });
  });

  it.runIf(soak)('is told with what is accepted of it', async () => {
    const owner = await makeRole('owner');
    await inTenant('c', `alter table jobs owner to ${owner}`);
    const accepted = await accept({ kind: 'table', name: 'jobs', attribute: 'owner' });
    // The rights of the owner are another thing than the owner.
    const report = await apply(accepted);
    expect([report.exitCode, fixOf(report.of('c'))]).toEqual([0, { statements: 2, left: [], whole: true }]);
    expect((await fleet.run(`drift --all ${accepted}`)).exitCode).toBe(0);
    expect((await apply()).exitCode).toBe(0);
  });

  it('is not run over what it calls like something of PostgreSQL', async () => {
    const role = await makeRole('climber');
    await inTenant('c', `grant create on schema ${schemas.c} to ${role}`);
    await fleet.db.query(
      Object.values(schemas)
        .map((schema) => `alter table "${schema}".jobs add seen timestamptz default now()`)
        .join(';'),
    );
    await inTenant('c', 'alter table jobs drop column seen');
    await inTenant(
      'c',
      `create function now() returns timestamptz language sql as 'select pg_catalog.now()'; alter function s_c.now() owner to ${role}`,
    );
    const report = await apply();
    expect(report.of('c').error).toMatchObject({ code: 'shadowed', message: expect.stringContaining('now()') });
    await fleet.db.query(`drop function ${schemas.c}.now(); revoke all on schema ${schemas.c} from ${role}`);
    expect((await apply()).exitCode).toBe(0);
  });
});

describe('numbers', () => {
  it('go on where the rows end, whoever owns the sequence', async () => {
    await inTenant('c', 'insert into invoices select from generate_series(1, 3); drop sequence invoice_no cascade');
    expect((await apply()).exitCode).toBe(0);
    expect(await valuesIn('c', 'insert into invoices default values returning no')).toEqual([4]);
  });

  it('are lost with a sequence only when that is said', async () => {
    await inTenant('c', 'create sequence extra_no; alter table jobs alter id add generated always as identity');
    const kept = await apply('--partial');
    expect(fixOf(kept.of('c'))).toMatchObject({ statements: 0, whole: false });
    expect(fixOf(kept.of('c')).left).toHaveLength(2);
    const shown = await fleet.run('drift fix --all --allow-drop');
    expect(shown.stdout).toContain('! data are lost: the next number of extra_no');
    expect(shown.stdout).toContain('! data are lost: the next number of jobs.id');
    expect((await apply('--allow-drop')).exitCode).toBe(0);
  });
});

describe('a plan', () => {
  it('does not cut texts short', async () => {
    await inTenant('c', `alter table jobs alter note type text; insert into jobs values (1, 'a', repeat('x', 21))`);
    const report = await apply('--allow-drop');
    expect(report.of('c').error).toMatchObject({ sqlState: '22001' });
    await inTenant('c', `delete from jobs`);
    expect((await apply('--allow-drop')).exitCode).toBe(0);
  });

  it.runIf(soak)('leaves alone what stands on something that stays', async () => {
    await inTenant(
      'c',
      `drop view busy; alter table jobs alter status type varchar(9); create view busy as select id, status from jobs;
       create type extra_mood as enum ('x'); create table extra (m extra_mood); drop function whoami()`,
    );
    await fleet.db.query(`drop view s_c.busy; alter table s_c.jobs alter status drop default;
      alter table s_c.jobs alter status type bytea using null; create view s_c.busy as select id, status from s_c.jobs`);
    const report = await apply('--partial');
    expect(report.of('c').error).toBeUndefined();
    expect(fixOf(report.of('c'))).toMatchObject({ statements: 2, whole: false });
    expect(fixOf(report.of('c')).left.join('; ')).toContain('extra_mood');
    expect((await apply('--allow-drop')).exitCode).toBe(0);
  });
});

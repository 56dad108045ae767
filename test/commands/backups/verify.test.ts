import { cp, mkdir, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { VerificationRecord } from '../../../src/backups/repository/backup.ts';
import { eventually } from '../../support/barrier.ts';
import { asSuperuser } from '../../support/database.ts';
import { archiveOf, storedFiles, toFolder } from '../../support/dumps.ts';
import { createFleet, type FleetReport, readReport } from '../../support/fleet.ts';
import { startCli } from '../../support/run-cli.ts';
import { jsonFile } from './verify-files.ts';

interface Value {
  readonly backup: string;
  readonly verdict: string;
  readonly problems: readonly string[];
  readonly remarks: readonly string[];
  readonly tables: number;
  readonly rows: number;
  readonly all?: readonly Value[];
}

const owner = `verify_owner_${process.pid}`;
const schemas = {
  acme: 'tenant_acme',
  'Ünï "1"': 'Tenant "Q" é',
  needy: 'tenant_needy',
  picky: 'tenant_picky',
  late: 'tenant_late',
};
const fleet = await createFleet({
  schemas,
  databases: 1,
  until: 'file',
  inventory: { ...toFolder, searchPath: ['{schema}', 'common', 'public'] },
});
await asSuperuser((admin) => admin.query(`drop role if exists ${owner}; create role ${owner}`));
await fleet.db.query(`
  create extension citext schema public;
  create schema common;
  create type common.color as enum ('red', 'green');
  create table common.plans (id int primary key, name public.citext);
  insert into common.plans values (1, 'free')`);
for (const schema of Object.values(schemas)) {
  const name = `"${schema.replaceAll('"', '""')}"`;
  await fleet.db.query(`
    create table ${name}.users (id int generated always as identity primary key, name public.citext,
      status varchar(10) check (status in ('new', 'old')), plan int references common.plans, color common.color);
    create table ${name}.orders (id serial primary key, user_id int references ${name}.users);
    create index on ${name}.users (status) where status in ('new', 'x');
    create view ${name}.active as select id, status from ${name}.users where status in ('new', 'old');
    insert into ${name}.users (name, status, plan, color) select 'u' || i, 'new', 1, 'red' from generate_series(1, 20) i;
    insert into ${name}.orders (user_id) select id from ${name}.users;
    alter schema ${name} owner to ${owner};
    alter table ${name}.users owner to ${owner};
    grant select (name) on ${name}.users to public;`);
}
await fleet.db.query(`
  alter table tenant_needy.orders add constraint elsewhere foreign key (user_id) references tenant_acme.users;
  create function tenant_picky.has_users() returns bool language plpgsql as
    'begin return exists (select from tenant_picky.users); end';
  alter table tenant_picky.orders rename to a_orders;
  alter table tenant_picky.a_orders add check (tenant_picky.has_users());
  select setval('tenant_late.orders_id_seq', 3)`);
const dumped = await fleet.json('dump --all');
if (dumped.exitCode !== 0) throw new Error(JSON.stringify(dumped));

function valueFor(report: FleetReport, tenant: string): Value {
  return report.of(tenant).value as unknown as Value;
}

/** A copy of the store that the test may harm; the way to a file of it. */
async function copyStore({
  isVerified = true,
} = {}): Promise<{ readonly flag: string; readonly file: (path: string) => string }> {
  const name = `copy-${Math.random().toString(36).slice(2)}`;
  await cp(join(fleet.folder, 'backups'), join(fleet.folder, name), {
    recursive: true,
    filter: (file) => isVerified || !file.endsWith('.verified.json'),
  });
  onTestFinished(() => rm(join(fleet.folder, name), { recursive: true, force: true }));
  return { flag: `--store ./${name}`, file: (path) => path.replace('/backups/', `/${name}/`) };
}

async function scratchDatabases(): Promise<readonly string[]> {
  return asSuperuser(async (admin) => {
    const { rows } = await admin.query("select datname from pg_database where datname like 'tenantctl_verify_%'");
    return rows.map(({ datname }) => datname as string);
  });
}

describe('verify', () => {
  it.each(['manifest', 'content'])('passes whole backups at level %s', async (level) => {
    const report = await fleet.json(`verify --all --level ${level}`);
    expect(report.exitCode).toBe(0);
    expect(report.totals).toMatchObject({ selected: 6, done: 6, findings: 0 });
    expect(valueFor(report, 'acme')).toMatchObject({ verdict: 'passed', tables: 2, rows: 40, problems: [] });
  });

  it('restores side by side and tells those that do not restore, and why', async () => {
    const report = await fleet.json('verify --all --level restore');
    expect(report.exitCode).toBe(1);
    expect(report.outcomes.map(({ tenant, finding }) => [tenant, finding])).toEqual([
      ['acme', false],
      ['Ünï "1"', false],
      ['needy', true],
      ['picky', true],
      ['late', true],
      ['d01', false],
    ]);
    expect(valueFor(report, 'acme')).toMatchObject({ verdict: 'passed', problems: [], remarks: [] });
    expect(valueFor(report, 'needy').problems).toEqual([
      expect.stringMatching(/^it does not restore: pg_restore: .*tenant_acme/),
      'it does not restore alone: foreign key orders elsewhere needs schema tenant_acme',
    ]);
    expect(valueFor(report, 'picky').problems).toEqual([expect.stringMatching(/violates check constraint/)]);
    expect(valueFor(report, 'late').problems).toEqual([
      'sequence tenant_late.orders_id_seq is behind: its next value is 4, and orders.id has 20',
    ]);
    const { results } = await jsonFile<VerificationRecord>(fleet, 'acme', '.verified.json');
    expect(results.map(({ level, verdict }) => `${level} ${verdict}`)).toContain('restore passed');
    expect(results.find(({ level }) => level === 'restore')).toMatchObject({
      run: report.run,
      server: expect.stringMatching(/^\d+/),
      durationMs: expect.any(Number),
    });
  });

  it('restores on a server of the inventory, and leaves nothing there', async () => {
    const report = await fleet.json('verify -t acme late --level restore --scratch main');
    expect(report.summary).toBe('acme done, late done');
    expect(valueFor(report, 'acme')).toMatchObject({ verdict: 'passed', remarks: [] });
    expect(report.exitCode).toBe(1);
    expect((await scratchDatabases()).filter((name) => name.includes(report.run!))).toEqual([]);
  });

  it('asks each restored tenant what the inventory and the operator want to know', async () => {
    const argv = 'verify -t acme --level restore --scratch main --json --check'.split(' ');
    const asked = async (...checks: string[]) => JSON.parse((await fleet.run([...argv, ...checks])).stdout);
    const bad = await asked('select 1 from users where false', "select name, color from users where name = 'U7'");
    expect(bad.exitCode).toBe(1);
    expect(bad.outcomes[0].value.problems).toEqual([
      `check "select name, color from users where name = 'U7'" found a row: name u7, color red`,
    ]);
    for (const check of ['select * from no_such_table', 'delete from users returning 1']) {
      const failed = await asked(check);
      expect(failed.exitCode).toBe(4);
      expect(failed.outcomes[0].error).toMatchObject({
        code: 'could-not-run',
        message: expect.stringContaining(check),
      });
    }
  });

  it('finds a damaged archive, and the others are told to be good', async () => {
    const { flag, file } = await copyStore();
    await truncate(file(archiveOf(fleet, dumped, 'acme')), 1000);
    await rm(file(archiveOf(fleet, dumped, 'late')));
    const report = await fleet.json(`verify --all --level content ${flag}`);
    expect(report.exitCode).toBe(1);
    expect(report.totals).toMatchObject({ done: 6, findings: 2 });
    expect(valueFor(report, 'acme').problems[0]).toMatch(/^its archive has 1000 bytes, not \d+$/);
    expect(valueFor(report, 'late').problems).toEqual(['its archive is not there']);
    const text = await fleet.run(`verify --all ${flag} --from-run ${report.run} --outcome done`);
    expect(text.stdout).toContain('4 passed, 2 bad; level content');
  });

  it('finds tenants whose files were swapped, and a shared archive that is lost', async () => {
    const { flag, file } = await copyStore();
    const [one, other] = ['acme', 'late'].map((tenant) => file(archiveOf(fleet, dumped, tenant)));
    await rename(one!, `${one}.kept`);
    await rename(other!, one!);
    await rename(`${one}.kept`, other!);
    const swapped = await fleet.json(`verify -t acme late needy ${flag}`);
    expect(swapped.outcomes.map(({ finding }) => finding)).toEqual([true, false, true]);
    const shared = (await storedFiles(fleet)).find((name) => /^_shared.*\.dump$/.test(name))!;
    await rm(file(join(fleet.folder, 'backups', shared)));
    const lost = await fleet.json(`verify -t needy --level manifest ${flag}`);
    expect(valueFor(lost, 'needy').problems).toEqual([`${shared}: its archive is not there`]);
  });

  it('fails tenants without any backup, and never passes them', async () => {
    await mkdir(join(fleet.folder, 'nothing'));
    await fleet.writeInventory({ backups: { to: './nothing' } });
    onTestFinished(() => fleet.writeInventory({}));
    const report = await fleet.json('verify -t acme');
    expect(report.exitCode).toBe(4);
    expect(report.of('acme').error).toMatchObject({ code: 'no-backup', hint: 'make one: tenantctl dump -t acme' });
  });

  it('looks at the newest, the newest before a time, or all', async () => {
    const { flag, file } = await copyStore();
    await fleet.db.query("insert into tenant_acme.users (name) values ('newer')");
    onTestFinished(async () => void (await fleet.db.query("delete from tenant_acme.users where name = 'newer'")));
    const again = await fleet.json(`dump -t acme ${flag}`);
    await truncate(file(archiveOf(fleet, dumped, 'acme')), 100);
    const newest = valueFor(await fleet.json(`verify -t acme ${flag}`), 'acme');
    expect(newest).toMatchObject({ verdict: 'passed', rows: 41 });
    const before = valueFor(
      await fleet.json(`verify -t acme --at ${valueFor(dumped, 'acme')['time' as never]} ${flag}`),
      'acme',
    );
    expect(before).toMatchObject({ verdict: 'bad', backup: valueFor(dumped, 'acme')['time' as never] });
    const all = valueFor(await fleet.json(`verify -t acme --all-backups ${flag}`), 'acme');
    expect(all.verdict).toBe('bad');
    expect(all.all!.map(({ verdict }) => verdict)).toEqual(['passed', 'bad']);
    expect(all.all![0]!.backup).toBe(valueFor(again, 'acme')['time' as never]);
    const never = await fleet.json(`verify -t acme --at 2001-01-01 ${flag}`);
    expect(never.of('acme').error).toMatchObject({ code: 'no-backup' });
  });

  it('is not silent about an archive without a manifest: newer than what is looked at, and of no other', async () => {
    const { flag, file } = await copyStore();
    const again = archiveOf(fleet, await fleet.json(`dump -t late ${flag}`), 'late');
    const manifestOf = (archive: string) => file(archive).replace(/\.dump$/, '.json');
    await rename(manifestOf(again), `${manifestOf(again)}.gone`);
    const newer = await fleet.run(`verify --all ${flag}`);
    expect(newer.exitCode).toBe(0);
    expect(newer.stdout).toContain('\n1 newer archive without a manifest (late): being written, left by a dump that');
    await rename(`${manifestOf(again)}.gone`, manifestOf(again));

    // One that has only lost it: what is written beside a manifest tells that there was one.
    await fleet.run(`verify -t late ${flag}`);
    await rm(manifestOf(again));
    const lost = await fleet.json(`verify -t late ${flag}`);
    expect([lost.exitCode, valueFor(lost, 'late').problems]).toEqual([
      1,
      [expect.stringMatching(/^it has no manifest/)],
    ]);
  });

  it('says nothing of an older archive without a manifest, but with --all-backups; and it is no backup', async () => {
    const { flag, file } = await copyStore({ isVerified: false });
    const older = file(archiveOf(fleet, dumped, 'late'));
    await rm(older.replace(/\.dump$/, '.json'));
    const alone = await fleet.json(`verify -t late ${flag}`);
    expect([alone.exitCode, alone.of('late').error?.message]).toEqual([
      4,
      expect.stringMatching(/has no backup of it, but 1 archive without a manifest \(being written, /),
    ]);
    expect((await fleet.run(`dump -t late ${flag}`)).exitCode).toBe(0);
    const newest = await fleet.run(`verify -t late -v ${flag}`);
    expect([newest.exitCode, newest.stdout]).toEqual([0, expect.not.stringContaining('without a manifest')]);
    const all = await fleet.run(`verify -t late --all-backups ${flag}`);
    expect(all.stdout).toContain('\n1 archive without a manifest (late): ');
  });
});

it('drops its scratch databases also when it is interrupted', async () => {
  const check = 'select pg_sleep(600)';
  const argv = 'verify -t acme --level restore --scratch main --json --check'.split(' ');
  const running = startCli([...argv, check], { cwd: fleet.folder });
  const isAsking = () =>
    asSuperuser(async (admin) => {
      const { rows } = await admin.query(
        "select from pg_stat_activity where datname like 'tenantctl_verify_%' and query like $1 and state = 'active'",
        [`%FETCH%`],
      );
      return rows.length > 0 ? true : null;
    });
  await eventually('the check runs', isAsking);
  running.signal('SIGINT');
  running.signal('SIGINT');
  const report = readReport(await running.ended);
  expect([report.exitCode, report.summary]).toEqual([130, 'acme interrupted']);
  expect((await scratchDatabases()).filter((name) => name.includes(report.run!))).toEqual([]);
});

describe('verify in turns', () => {
  const daysLater = (days: number) => ({ now: () => new Date(Date.now() + days * 86_400_000) });

  it('takes those whose turn it is, and ends with 0 when the others may wait', async () => {
    const { flag } = await copyStore({ isVerified: false });
    const ids: (readonly string[])[] = [];
    for (const days of [10, 21, 22.5]) {
      const report = await fleet.json(`verify --all --within 30d ${flag}`, daysLater(days));
      expect(report.exitCode).toBe(0);
      ids.push(report.outcomes.map(({ tenant }) => tenant));
    }
    expect(ids.map(({ length }) => length)).toEqual([3, 3, 1]);
    expect(new Set([...ids[0]!, ...ids[1]!]).size).toBe(6);
    expect(ids[0]).toContain(ids[2]![0]);
  });

  it('stops when the budget is used up: no failure while the promise holds, one when it is broken', async () => {
    const { flag } = await copyStore({ isVerified: false });
    const early = await fleet.json(`verify --all --within 30d --budget 0 ${flag}`, daysLater(17));
    expect([early.exitCode, early.outcomes]).toEqual([0, []]);
    expect(early).toMatchObject({ cycle: { tenants: 6, due: 5, verified: 0, overdue: [] } });
    const late = await fleet.json(`verify --all --within 30d --budget 0 ${flag}`, daysLater(31));
    expect(late.exitCode).toBe(4);
    expect(late.of('acme')).toMatchObject({ status: 'skipped', because: 'the budget of 0ms was used up' });
    const without = await fleet.json(`verify --all --budget 0 ${flag}`);
    expect(without.totals).toMatchObject({ selected: 6, skipped: 6 });
  });
});

it('says of encrypted backups that the key is lacking, and verifies them with it', async () => {
  const key = await generateIdentity();
  await writeFile(join(fleet.folder, 'key.txt'), `${key}\n`);
  const backups = { to: './sealed', encryptTo: [await identityToRecipient(key)] };
  await fleet.writeInventory({ backups });
  onTestFinished(() => fleet.writeInventory({}));
  expect((await fleet.json('dump -t acme')).exitCode).toBe(0);
  expect((await fleet.json('verify -t acme --level manifest')).exitCode).toBe(0);
  const without = await fleet.json('verify -t acme');
  expect(without.exitCode).toBe(4);
  expect(without.of('acme').error).toMatchObject({ code: 'could-not-run', message: expect.stringContaining('age1') });
  const withKey = await fleet.json('verify -t acme --level restore --scratch main --identity key.txt');
  expect(withKey.exitCode).toBe(0);
  expect(valueFor(withKey, 'acme')).toMatchObject({ verdict: 'passed', rows: 40, remarks: [] });
});

describe('verify refuses', () => {
  it.each([
    ['--level full', '--level does not know "full"'],
    ['--at yesterday', '--at takes a time, not "yesterday"'],
    ['--within 30d --all-backups', '--within does not go with --all-backups'],
    ['--scratch main', '--scratch does not go with --level content'],
    ['--level restore --scratch nowhere', '--scratch nowhere: the inventory has no such server'],
  ])('%s', async (flags, message) => {
    const { exitCode, stderr } = await fleet.run(`verify --all ${flags}`);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  it('a machine without a PostgreSQL server, and names the package', async () => {
    const { flag, file } = await copyStore();
    const manifest = file(archiveOf(fleet, dumped, 'acme')).replace(/\.dump$/, '.json');
    await jsonFile.rewrite(manifest, (it) => ({ ...it, versions: { ...it.versions, server: '99.1' } }));
    const report = await fleet.json(`verify -t acme --level restore ${flag}`);
    expect(report.exitCode).toBe(5);
    expect(report.error).toMatchObject({ message: 'this machine has no PostgreSQL 99 or newer to restore into' });
    expect(report.error?.hint).toContain('postgresql-99');
  });
});

it('leaves no file behind but the results', async () => {
  const names = (await readdir(join(fleet.folder, 'backups'), { recursive: true })).filter((name) =>
    /\.(partial|tmp)/.test(name),
  );
  expect(names).toEqual([]);
});

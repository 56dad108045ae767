import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFleet, type FleetReport, numbered, type TestFleet } from '../../support/fleet.ts';
import { holdTable } from '../../support/table-lock.ts';

const tenantSql = (schema: string) => `
  create table ${schema}.users (id int primary key, email text not null);
  create view ${schema}.mails as select email from ${schema}.users;
  create table ${schema}.pgmigrations (id serial primary key, name varchar(255) not null, run_on timestamp not null);
  insert into ${schema}.pgmigrations (name, run_on) values ('0001_users', now())`;

async function makeFleet(count: number): Promise<TestFleet> {
  const fleet = await createFleet({ schemas: count });
  await fleet.db.query(numbered('tenant_t', count).map(tenantSql).join(';'));
  return fleet;
}

interface Told {
  readonly read: string;
  readonly version: string | null;
  readonly new: readonly { readonly text: string; readonly since: string }[];
  readonly ended: readonly { readonly text: string }[];
  readonly standing: readonly { readonly text: string; readonly since: string }[];
}

const toldOf = (report: FleetReport, tenant: string) => report.of(tenant).value as unknown as Told;

/** `t03 new …`, `t03 ended …`: what a report tells. */
function news(report: FleetReport): readonly string[] {
  return report.outcomes.flatMap(({ tenant, status }) => {
    if (status !== 'done') return [];
    const { new: fresh, ended } = toldOf(report, tenant);
    return [
      ...fresh.map(({ text }) => `${tenant} new: ${text}`),
      ...ended.map(({ text }) => `${tenant} ended: ${text}`),
    ];
  });
}

const read = (report: FleetReport) =>
  report.outcomes.flatMap(({ tenant, status }) =>
    status === 'done' && toldOf(report, tenant).read === 'now' ? [tenant] : [],
  );

const stateFile = (fleet: TestFleet) => join(fleet.folder, '.tenantctl', 'drift', 'watch.json');

/** Each of the long ones takes some seconds. */
const soak = process.env.TENANTCTL_SOAK === '1';

describe('drift watch', () => {
  it('tells drift once, and when it is over', async () => {
    const fleet = await makeFleet(50);
    const first = await fleet.json('drift watch --all');
    expect([first.exitCode, news(first), read(first).length]).toEqual([0, [], 50]);

    await fleet.db.query('alter table tenant_t07.users add column nick text');
    const second = await fleet.json('drift watch --all');
    expect([second.exitCode, read(second)]).toEqual([1, ['t07']]);
    expect(news(second)).toEqual(['t07 new: has an extra column users.nick (text)']);
    expect(second.of('t07').finding).toBe(true);

    const third = await fleet.json('drift watch --all');
    expect([third.exitCode, read(third), news(third)]).toEqual([0, [], []]);
    const { since } = toldOf(second, 't07').new[0]!;
    expect(toldOf(third, 't07').standing).toMatchObject([{ since }]);
    expect((await fleet.json('drift watch --all --fail-on-any')).exitCode).toBe(1);
    expect((await fleet.json('drift watch --all --fail-on-any --fail-on security')).exitCode).toBe(0);

    await fleet.db.query('alter table tenant_t07.users drop column nick');
    const fourth = await fleet.json('drift watch --all');
    expect([fourth.exitCode, read(fourth)]).toEqual([0, ['t07']]);
    expect(news(fourth)).toEqual(['t07 ended: has an extra column users.nick (text)']);
    expect(news(await fleet.json('drift watch --all'))).toEqual([]);
  });

  it('reads nobody again after what changes no definition, and clears what only looks like it', async () => {
    const fleet = await makeFleet(3);
    await fleet.json('drift watch --all');
    await fleet.db.query("insert into tenant_t01.users values (1, 'a'); analyze tenant_t01.users");
    for (const each of ['vacuum', 'vacuum freeze']) await fleet.db.query(`${each} tenant_t01.users`);
    expect(read(await fleet.json('drift watch --all'))).toEqual([]);
    await fleet.db.query('truncate tenant_t02.users');
    const report = await fleet.json('drift watch --all');
    expect([report.exitCode, read(report), news(report)]).toEqual([0, ['t02'], []]);
  });

  it.runIf(soak)('follows a migration that writes rows alone', async () => {
    const fleet = await makeFleet(3);
    await fleet.json('drift watch --all');
    const migrated = numbered('tenant_t', 3).map(
      (schema) => `insert into ${schema}.pgmigrations (name, run_on) values ('0002_rows', now())`,
    );
    await fleet.db.query(migrated.join(';'));
    const report = await fleet.json('drift watch --all');
    expect([read(report), toldOf(report, 't01').version]).toEqual([[], '0002_rows']);
  });

  it('tells a definition that drifts further', async () => {
    const fleet = await makeFleet(3);
    await fleet.json('drift watch --all');
    const view = (column: string) =>
      fleet.db.query(
        `drop view tenant_t02.mails; create view tenant_t02.mails as select ${column} as email from tenant_t02.users`,
      );
    await view("'x'::text");
    expect(news(await fleet.json('drift watch --all'))).toHaveLength(1);
    await view("'y'::text");
    const report = await fleet.json('drift watch --all');
    expect(report.exitCode).toBe(1);
    expect(toldOf(report, 't02').new).toHaveLength(1);
  });

  it('forgets nothing of a tenant that it could not read', async () => {
    const fleet = await makeFleet(4);
    await fleet.db.query('alter table tenant_t02.users add column nick text');
    expect(news(await fleet.json('drift watch --all'))).toHaveLength(1);
    const moved = (to: string) => fleet.db.query(`alter schema ${to}`);
    await moved('tenant_t02 rename to elsewhere');
    await fleet.writeInventory({
      discover: [],
      tenants: numbered('t', 4).map((id) => ({ id, server: 'main', database: fleet.db.name, schema: `tenant_${id}` })),
    });
    const gone = await fleet.json('drift watch --all');
    expect(gone.of('t02')).toMatchObject({ status: 'failed', error: { code: 'schema-missing' } });
    expect([gone.exitCode, news(gone)]).toEqual([3, []]);
    await moved('elsewhere rename to tenant_t02');
    expect(news(await fleet.json('drift watch --all'))).toEqual([]);
  });

  it.runIf(soak)(
    'reads all after another cluster, another version or a damaged state, and in full when it is time',
    async () => {
      const fleet = await makeFleet(3);
      await fleet.db.query('alter table tenant_t03.users add column nick text');
      expect(news(await fleet.json('drift watch --all'))).toHaveLength(1);
      const rewrite = async (from: RegExp, to: string) => {
        const text = await readFile(stateFile(fleet), 'utf8');
        expect(text).toMatch(from);
        await writeFile(stateFile(fleet), text.replaceAll(from, to));
      };
      const everybody = ['t01', 't02', 't03'];
      expect(read(await fleet.json('drift watch --all'))).toEqual([]);
      await rewrite(/"system":"\d+"/g, '"system":"7"');
      const restored = await fleet.json('drift watch --all');
      // What was told stays told: the tenants are the same, whatever they run on.
      expect([read(restored), news(restored)]).toEqual([everybody, []]);
      await rewrite(/"program":"[^"]+"/g, '"program":"0.0.0-older"');
      expect(read(await fleet.json('drift watch --all'))).toEqual(everybody);
      expect(read(await fleet.json('drift watch --all --full'))).toEqual(everybody);
      const later = () => new Date(Date.now() + 2 * 3_600_000);
      const ran = async (argv: string) => (await fleet.run(`${argv} --json`, { now: later })).stdout;
      expect(await ran('drift watch --all --full-every 3h')).toContain('"read":"unchanged"');
      expect(await ran('drift watch --all --full-every 1h')).not.toContain('"read":"unchanged"');
      await writeFile(stateFile(fleet), '{"schema":"tenantctl/drift-wa');
      const damaged = await fleet.run('drift watch --all --json');
      expect(damaged.exitCode).toBe(1);
      expect(damaged.stderr).toContain('watch.json is damaged');
    },
  );

  it.runIf(soak)(
    'keeps one state whole under two watches at once, each with its own tenants and reference',
    async () => {
      const fleet = await makeFleet(6);
      await fleet.db.query('alter table tenant_t05.users add column nick text');
      const all = [
        'drift watch --all',
        'drift watch --all --against tenant:t01',
        'drift watch -t t05 --against tenant:t01',
      ];
      await Promise.all([...all, ...all].map((argv) => fleet.json(argv)));
      for (const argv of all) {
        const report = await fleet.json(argv);
        expect([argv, report.exitCode, read(report), news(report)]).toEqual([argv, 0, [], []]);
      }
    },
  );

  it('refuses without a place to remember, and names the flags that fight', async () => {
    const fleet = await makeFleet(2);
    await writeFile(join(fleet.folder, 'file'), '');
    await fleet.writeInventory({ state: './file/state' });
    expect((await fleet.run('drift watch --all')).exitCode).toBe(5);
    const both = await fleet.run('drift watch --all --full --full-every 1h');
    expect([both.exitCode, both.stderr]).toEqual([2, expect.stringContaining('--full and --full-every')]);
  });

  it('says for people what is new and what is over', async () => {
    const fleet = await makeFleet(4);
    await fleet.run('drift watch --all');
    await fleet.db.query('alter table tenant_t02.users add column nick text; drop view tenant_t03.mails');
    const { stdout } = await fleet.run('drift watch --all');
    expect(stdout).toContain('4 tenants, 2 read, 2 unchanged, against majority');
    expect(stdout).toContain(
      'new drift:\n  t02: has an extra column users.nick (text) (structural)\n  t03: lacks view mails',
    );
    await fleet.db.query('alter table tenant_t02.users drop column nick');
    const { stdout: later } = await fleet.run('drift watch --all');
    expect(later).toContain('ended:\n  t02: has an extra column users.nick (text) (structural)\n');
    expect(later).toContain('1 difference known before');
    expect((await fleet.run('drift watch --all --quiet')).stdout).toBe('');
  });

  it.runIf(soak)('tells of a locked tenant, and what it missed later', async () => {
    const fleet = await makeFleet(3);
    await fleet.json('drift watch --all');
    await fleet.db.query('alter table tenant_t02.users add column nick text');
    const held = await holdTable(fleet.db, 'tenant_t02.users', 'ACCESS EXCLUSIVE');
    const locked = await fleet.json('drift watch --all');
    expect(locked.of('t02')).toMatchObject({ status: 'failed', error: { code: 'locked' } });
    await held.release();
    expect(news(await fleet.json('drift watch --all'))).toEqual(['t02 new: has an extra column users.nick (text)']);
  });

  it('takes any id, and a state of a wrong form for a damaged one', async () => {
    const ids = ['constructor', 'toString', 'b'];
    const fleet = await createFleet({ schemas: Object.fromEntries(ids.map((id) => [id, `s_${id}`])) });
    await fleet.db.query(ids.map((id) => tenantSql(`"s_${id}"`)).join(';'));
    await fleet.db.query('alter table s_b.users add column nick text');
    expect(news(await fleet.json('drift watch --all'))).toHaveLength(1);
    await writeFile(
      stateFile(fleet),
      '{"schema":"tenantctl/drift-watch/1","program":"0.0.0-test","tenants":{},"drift":{"majority":{"b":7}}}',
    );
    const report = await fleet.json('drift watch --all');
    expect([report.exitCode, news(report)]).toEqual([1, [expect.stringContaining('b new')]]);
    expect(report.stderr).toContain('watch.json is damaged');
  });

  it('remembers what was told, and not what could not be', async () => {
    const fleet = await makeFleet(3);
    await fleet.db.query('alter table tenant_t02.users add column nick text');
    const full = await fleet.run('drift watch --all -o json=/dev/full');
    expect([full.exitCode, full.stderr]).toEqual([3, expect.stringContaining('/dev/full: ENOSPC')]);
    expect(news(await fleet.json('drift watch --all'))).toHaveLength(1);
    expect(news(await fleet.json('drift watch --all'))).toEqual([]);
  });

  it('says that there is no drift only when it looked at everybody', async () => {
    const fleet = await makeFleet(3);
    const ids = numbered('t', 3);
    const listed = (schemaOf: (id: string) => string) =>
      fleet.writeInventory({
        discover: [],
        tenants: ids.map((id) => ({ id, server: 'main', database: fleet.db.name, schema: schemaOf(id) })),
      });
    await listed((id) => (id === 't03' ? 'gone' : `tenant_${id}`));
    const some = await fleet.run('drift watch --all');
    expect(some.stdout).toContain('\nno drift in the 2 tenants that could be compared\n');
    await listed((id) => `gone_${id}`);
    const none = await fleet.run('drift watch --all');
    expect([none.exitCode, none.stdout]).toEqual([4, expect.not.stringContaining('no drift')]);
  });
});

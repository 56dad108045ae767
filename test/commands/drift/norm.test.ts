import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { withAwsCredentials } from '../../support/aws-credentials.ts';
import { closedPort } from '../../support/closed-port.ts';
import { createFleet, type FleetReport, type TestFleet } from '../../support/fleet.ts';
import { startRdsServer } from '../../support/rds-server.ts';

/** A tenant's tables, and which migrations its history names. */
const tenantSql = (schema: string, extra = '', version = '0001_users') => `
  create table ${schema}.users (id int primary key, email text${extra});
  create table ${schema}.pgmigrations (id serial primary key, name varchar(255) not null, run_on timestamp not null);
  insert into ${schema}.pgmigrations (name, run_on) values ('${version}', now())`;

/** A fleet of tenants by id: what their table has beside, and where they stand. */
async function makeFleet(tenants: Readonly<Record<string, readonly [extra?: string, version?: string]>>) {
  const ids = Object.keys(tenants);
  const fleet = await createFleet({ schemas: Object.fromEntries(ids.map((id) => [id, `s_${id}`])), until: 'file' });
  await fleet.db.query(ids.map((id) => tenantSql(`s_${id}`, ...tenants[id]!)).join(';'));
  return fleet;
}

interface Told {
  readonly notes: readonly string[];
  readonly why: (tenant: string) => string | null;
  readonly differences: (tenant: string) => readonly string[];
}

async function drift(fleet: TestFleet, argv: string): Promise<FleetReport & Told> {
  const report = (await fleet.json(argv)) as FleetReport & Pick<Told, 'notes'>;
  const of = (tenant: string) =>
    report.of(tenant).value as unknown as { why: string | null; differences: readonly { text: string }[] };
  return {
    ...report,
    why: (tenant) => of(tenant).why,
    differences: (tenant) => of(tenant).differences.map(({ text }) => text),
  };
}

withAwsCredentials();

const nick = 'has an extra column users.nick (text)';

describe('the majority of a fleet', () => {
  let fleet: TestFleet;

  beforeAll(async () => {
    const odd = [', nick text'] as const;
    fleet = await makeFleet({ a: [], b: [], c: [], d: odd, e: odd, f: [], alone: ['', '0002_next'] });
  });

  it('is that of all tenants, whoever is selected, and only those are reported', async () => {
    const report = await drift(fleet, 'drift -t d e');
    expect([report.exitCode, report.summary]).toEqual([1, 'd done, e done']);
    expect([report.differences('d'), report.differences('e')]).toEqual([[nick], [nick]]);
    expect(report.notes).toEqual(['the majority is that of 7 tenants: 5 that are not selected were read as well']);
    expect((await drift(fleet, 'drift -t a')).exitCode).toBe(0);
    expect((await drift(fleet, 'drift --all')).notes).toEqual([
      '1 tenant could not be compared, alone at its version: alone (0002_next)',
    ]);
  });

  it('is what a fix and a watch of some go by', async () => {
    const fix = await fleet.run('drift fix -t d e --allow-drop');
    expect(fix.stdout).toContain('2 tenants (d and e): 1 statement\n');
    expect(fix.stdout).toContain('5 that are not selected were read as well\n');
    const watch = await fleet.json('drift watch -t d');
    expect([watch.exitCode, watch.summary]).toEqual([1, 'd done']);
  });

  it('is that of those who can be read: another server that is down is a note', async () => {
    const there = { server: 'down', database: 'x', schema: 'y' };
    const { servers, tenants } = await inventoryOf(fleet);
    const down = { url: `postgres://nobody@127.0.0.1:${await closedPort()}/postgres` };
    await fleet.writeInventory({
      servers: { ...servers, down },
      tenants: [...tenants, { id: 'far', ...there }],
      discover: [{ server: 'down', database: 'z', schemas: 'none_*' }],
    });
    const report = await drift(fleet, 'drift -t d');
    expect(report).toMatchObject({ exitCode: 1, summary: 'd done', stderr: '' });
    expect(report.sources ?? []).toEqual([]);
    expect(report.notes).toEqual([
      'the majority is that of 7 tenants: 6 that are not selected were read as well',
      '1 tenant that is not selected could not be read, without a say in the majority: far',
      'server down cannot be read: whoever lives there has no say in the majority',
    ]);
    await fleet.writeInventory({});
  });

  it('wakes nobody: a server that sleeps is not asked, whoever is selected', async () => {
    const rds = await startRdsServer();
    const tags = { state: 'hibernated', how: 'stop', since: '2026-11-20T08:00:00Z', run: 'r1' };
    const tagged = new Map(Object.entries(tags).map(([name, value]) => [`tenantctl:${name}`, value]));
    rds.add('instance', 'x', { status: 'stopped', tags: tagged });
    const { servers, tenants } = await inventoryOf(fleet);
    const at = { instance: 'x', region: 'eu-west-1', endpoint: rds.url };
    await fleet.writeInventory({
      servers: { ...servers, far: { url: 'postgres://x@127.0.0.1:1/x', rds: at } },
      tenants: [...tenants, { id: 'sleeper', server: 'far', database: 'x' }],
    });
    const report = await drift(fleet, 'drift --server main --tenant a');
    await fleet.writeInventory({});
    expect(report).toMatchObject({ exitCode: 0, summary: 'a done', stderr: '' });
    expect(report.notes).toEqual(['the majority is that of 7 tenants: 6 that are not selected were read as well']);
  });

  it('reads nobody else for another reference', async () => {
    const report = await drift(fleet, 'drift -t a d --against tenant:a');
    expect([report.exitCode, report.notes]).toEqual([1, []]);
  });

  it('leaves who is alone at its version without an answer, which is no fault', async () => {
    const report = await drift(fleet, 'drift -t a f alone');
    expect([report.exitCode, report.of('alone').finding]).toEqual([0, false]);
    expect(report.why('alone')).toMatch(/^alone at version 0002_next on PostgreSQL \d+$/);
    expect(report.why('a')).toBeNull();
    const { stdout } = await fleet.run('drift -t a f alone --verbose');
    expect(stdout).toContain('\n1 tenant could not be compared, alone at its version: alone (0002_next)\n');
    expect(stdout).toMatch(/^alone +- +- +not compared: alone at version 0002_next on PostgreSQL \d+$/m);
  });

  it('does not call a run good in which nobody was compared', async () => {
    for (const command of ['drift', 'drift watch', 'drift fix']) {
      const report = await drift(fleet, `${command} -t alone`);
      expect([command, report.exitCode]).toEqual([command, 4]);
      expect(report.of('alone').error).toMatchObject({
        code: 'no-reference',
        hint: expect.stringContaining('--against migrations'),
      });
    }
  });

  it('keeps what a watch knows of a tenant that is alone for a while', async () => {
    await fleet.run('drift watch --all');
    const move = (name: string) => fleet.db.query(`update s_d.pgmigrations set name = '${name}'`);
    await move('0003_canary');
    const canary = await fleet.json('drift watch --all');
    expect(canary.exitCode).toBe(0);
    expect(canary.of('d')).toMatchObject({
      finding: false,
      value: { why: expect.stringContaining('alone at version 0003_canary'), new: [], ended: [], standing: [] },
    });
    await move('0001_users');
    expect((await fleet.json('drift watch --all')).of('d').value).toMatchObject({
      new: [],
      standing: [{ text: nick }],
    });
  });
});

async function inventoryOf(fleet: TestFleet) {
  return JSON.parse(await readFile(join(fleet.folder, 'tenants.yaml'), 'utf8')) as {
    readonly servers: Readonly<Record<string, unknown>>;
    readonly tenants: readonly unknown[];
  };
}

describe('two halves', () => {
  it('are told, and nobody is changed by the toss of a coin', async () => {
    const odd = [', nick text'] as const;
    const fleet = await makeFleet({ a: [], b: [], c: odd, d: odd });
    const tie = expect.stringContaining('two structures are equally common (2 tenants each)');
    expect((await drift(fleet, 'drift --all')).notes).toEqual([tie]);
    const plan = await fleet.run('drift fix --all -o table -o json=plan.json');
    expect(plan.stdout).toContain('two structures are equally common');
    expect(JSON.parse(await readFile(join(fleet.folder, 'plan.json'), 'utf8'))).toMatchObject({ notes: [tie] });
    const refused = await fleet.run('drift fix --all --allow-drop --apply --yes');
    expect(refused.exitCode).toBe(5);
    expect(refused.stderr).toContain('two structures are equally common');
    expect(refused.stderr).toMatch(/hint: .*--against migrations/);
    expect(await readdir(join(fleet.folder, '.tenantctl', 'runs')).catch(() => [])).toEqual([]);
    // Who needs no change is not asked.
    expect((await fleet.run('drift fix -t a --apply --yes')).exitCode).toBe(0);
  });
});

describe('tenants of whom no two are alike', () => {
  it('are drift, compared with the one that differs least from the others', async () => {
    const fleet = await makeFleet({
      a: [', x text'],
      b: [', x text, y text'],
      c: [', y text, x text, z text, w text'],
    });
    const report = await drift(fleet, 'drift --all');
    expect(report).toMatchObject({ exitCode: 1, summary: 'a done, b done, c done' });
    expect(report.differences('b')).toEqual([]);
    expect(report.differences('a')).toEqual(['lacks column users.y (text)']);
    const [note = ''] = report.notes;
    expect(note).toMatch(
      /^at version 0001_users on PostgreSQL \d+ no two of 3 tenants are alike: all are held to b, which differs least/,
    );
    const refused = await fleet.run('drift fix --all --allow-drop --apply --yes');
    expect([refused.exitCode, refused.stderr]).toEqual([5, expect.stringContaining('no two of 3 tenants are alike')]);
    const watch = await fleet.json('drift watch --all');
    expect([watch.exitCode, watch.of('a').finding]).toEqual([1, true]);
  });
});

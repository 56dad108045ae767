import { expect, test } from 'vitest';
import { createFleet, numbered, readReport, type TestFleet } from '../support/fleet.ts';
import { openProxy } from '../support/proxy.ts';
import { makeRandom, type Random, testSeeds } from '../support/random.ts';

const soak = process.env.TENANTCTL_SOAK === '1';
const schemas = numbered('tenant_t', 40);

test.each(testSeeds(soak ? 20 : 2))(
  'connections are cut at any moment, seed %i: all are done in the end, and none twice',
  async (seed) => {
    const random = makeRandom(seed);
    const fleet = await createFleet({
      schemas: schemas.length,
      migrations: {
        // No key: what is run twice is there twice.
        '0001_seen.sql': "CREATE TABLE seen (name text); INSERT INTO seen VALUES ('0001_seen');",
        '0002_more.sql': "INSERT INTO seen VALUES ('0002_more'); SELECT pg_sleep(0.01);",
        '0003_last.js': 'exports.up = (pgm) => pgm.sql("INSERT INTO seen VALUES (\'0003_last\')");',
      },
    });
    const running = fleet.start(`migrate --all --concurrency ${random.pick([2, 4, 8])} --json`);
    let hasEnded = false;
    void running.ended.then(() => {
      hasEnded = true;
    });
    const cut = await cutAtRandom(fleet, random, () => hasEnded);
    const report = readReport(await running.ended);
    expect(cut).toBeGreaterThan(2);
    expect(report.outcomes.filter(({ status }) => status !== 'done')).toEqual([]);
    expect([report.exitCode, report.totals.done]).toEqual([0, schemas.length]);
    expect(report.stderr).toMatch(/server main: .*; trying again in/);
    expect(report.outcomes.some(({ attempts = 1 }) => attempts > 1)).toBe(true);
    for (const { tenant, value } of report.outcomes) {
      expect(value, tenant).toMatchObject({ from: null, applied: ['0001_seen', '0002_more', '0003_last'] });
    }
    expect(await twice(fleet)).toEqual([]);
  },
);

test('cut between two statements: the next one meets a connection that is lost, whatever is left of it', async () => {
  const proxy = await openProxy();
  const url = (database: string) => `postgres://postgres@127.0.0.1:${proxy.port}/${database}?sslmode=disable`;
  const migrations = {
    '0001_one.js': `exports.up = async (pgm) => {
      await pgm.db.query('CREATE TABLE one (id int)');
      await globalThis.betweenStatements?.();
      await pgm.db.query('INSERT INTO one VALUES (1)');
    };`,
  };
  const fleet = await createFleet({ schemas: 1, migrations, url });
  const here = globalThis as { betweenStatements?: () => Promise<void> };
  here.betweenStatements = async () => {
    delete here.betweenStatements;
    proxy.holdEnds();
    await fleet.db.query(
      "select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name like 'tenantctl/%/t01'",
    );
    // The server's last words travel.
    for (let turn = 0; turn < 20; turn += 1) await fleet.db.query('select');
  };
  const report = readReport(await fleet.run('migrate --all --json'));
  proxy.drop();
  expect(here).not.toHaveProperty('betweenStatements');
  expect([report.exitCode, report.of('t01').status, report.of('t01').attempts]).toEqual([0, 'done', 2]);
  expect(await fleet.db.query('select id from tenant_t01.one')).toEqual([{ id: 1 }]);
});

/** Ends working sessions of ours, each some looks after another tenant was done; returns how many. */
async function cutAtRandom({ db }: TestFleet, random: Random, hasEnded: () => boolean): Promise<number> {
  let cut = 0;
  let doneBefore = -1;
  while (cut < 8 && !hasEnded()) {
    const [look] = await db.query<{ done: number; pids: readonly number[] }>(
      `select (select count(*)::int from pg_class where relname = 'pgmigrations') as done,
              array(select pid from pg_stat_activity where datname = current_database() and state <> 'idle'
                       and application_name like 'tenantctl/%/t__' order by pid) as pids`,
    );
    // Whoever is cut again and again before it gets through waits longer each time.
    if (look === undefined || look.pids.length === 0 || look.done === doneBefore || random.chance(0.7)) continue;
    const [answer] = await db.query<{ cut: boolean }>('select pg_terminate_backend($1) as cut', [
      random.pick(look.pids),
    ]);
    if (answer?.cut !== true) continue;
    cut += 1;
    doneBefore = look.done;
  }
  return cut;
}

/** Schemas where anything is not there exactly once. */
async function twice({ db }: TestFleet): Promise<readonly string[]> {
  const names = '0001_seen 0002_more 0003_last';
  const rows = await db.query<{ schema: string }>(
    schemas
      .map(
        (schema) => `select '${schema}' as schema
          where (select string_agg(name, ' ' order by name) from ${schema}.seen) is distinct from '${names}'
             or (select string_agg(name, ' ' order by id) from ${schema}.pgmigrations) is distinct from '${names}'`,
      )
      .join(' union all '),
  );
  return rows.map(({ schema }) => schema);
}

import { expect, it } from 'vitest';
import { eventually } from '../support/barrier.ts';
import type { TestDatabase } from '../support/database.ts';
import { createFleet, numbered } from '../support/fleet.ts';

const tenantSql = (schema: string) => `
  create table ${schema}.users (id int primary key, email text not null, age int check (age > 0));
  create table ${schema}.tasks (id int primary key, user_id int references ${schema}.users, title text default 'none');
  create index tasks_user on ${schema}.tasks (user_id) where id > 0;
  create view ${schema}.open_tasks as select t.id, u.email from ${schema}.tasks t join ${schema}.users u on u.id = t.user_id;
  create function ${schema}.f(n int) returns int language sql as 'select n + 1'`;

/** What a deployment might do to one tenant, and then take back. */
const streams: readonly ((schema: string) => readonly string[])[] = [
  (schema) => [
    `alter table ${schema}.users add column nick text default 'x'`,
    `alter table ${schema}.users drop column nick`,
    `create or replace view ${schema}.later as select id from ${schema}.users`,
    `drop view ${schema}.later`,
  ],
  (schema) => [
    `create index tasks_title on ${schema}.tasks (title)`,
    `drop index ${schema}.tasks_title`,
    `alter table ${schema}.tasks add constraint short check (length(title) < 100)`,
    `alter table ${schema}.tasks drop constraint short`,
  ],
  (schema) => [
    `create index concurrently users_email on ${schema}.users (email)`,
    `reindex index concurrently ${schema}.users_email`,
    `drop index concurrently ${schema}.users_email`,
  ],
];

const schemas = numbered('tenant_t', 40);
/** Nobody alters these. */
const calm = new Set(['t37', 't38', 't39', 't40']);
const scans = 4;

it('a scan beside a stream of DDL makes no statement wait for a second, and each tenant has an outcome', async () => {
  // By name: else t36 would not be found any more, and have no outcome.
  const fleet = await createFleet({ schemas: Object.fromEntries(schemas.map((name) => [name.slice(7), name])) });
  await fleet.db.query(schemas.map(tenantSql).join(';'));
  const stopped = new AbortController();
  const running = streams.map((statements, index) => alter(fleet.db, statements, index, stopped.signal));
  const reports = [];
  try {
    await eventually('all streams flow', async () => (running.every(({ ran }) => ran() > 2) ? true : null));
    for (let scan = 0; scan < scans; scan += 1) {
      const before = running.map(({ ran }) => ran());
      const scanning = fleet.json('drift --all');
      if (scan === scans - 1) {
        await eventually('it reads', async () => ((await countReaders(fleet.db)) > 0 ? true : null));
        // The stream that alters it may be in the way, and the server ends one of the two.
        await eventually('t36 is dropped', () =>
          fleet.db.query('drop schema tenant_t36 cascade').then(
            () => true,
            (error) => {
              if (error.code !== '40P01') throw error;
              return null;
            },
          ),
        );
      }
      reports.push(await scanning);
      await eventually('each stream has moved', async () => {
        return running.every(({ ran }, index) => ran() > before[index]!) ? true : null;
      });
    }
  } finally {
    stopped.abort();
  }
  // A statement that had waited longer for any lock would have failed.
  expect((await Promise.all(running.map(({ ended }) => ended))).flat()).toEqual([]);

  for (const report of reports) {
    expect(report.outcomes).toHaveLength(40);
    for (const { tenant, status, error } of report.outcomes) {
      if (calm.has(tenant)) expect({ tenant, status }).toEqual({ tenant, status: 'done' });
      // Whoever is altered all the time may be found so each time; and t36 goes at the end.
      else if (status !== 'done')
        expect(['locked', 'changing', 'schema-missing', 'no-reference']).toContain(error?.code);
    }
  }
  const last = await fleet.json('drift --all');
  expect(last.of('t36')).toMatchObject({ status: 'failed', error: { code: 'schema-missing' } });
  expect(last.exitCode).toBe(3);
  expect(last.outcomes.filter(({ status }) => status === 'done')).toHaveLength(39);
  expect(last.outcomes.filter(({ finding }) => finding === true)).toEqual([]);
});

async function countReaders(db: TestDatabase): Promise<number> {
  const rows = await db.query("select 1 from pg_stat_activity where application_name like 'tenantctl/%/drift'");
  return rows.length;
}

/** Alters tenants in turn until it is stopped, then leaves them as they were; resolves to the errors of its statements. */
function alter(
  db: TestDatabase,
  statements: (schema: string) => readonly string[],
  offset: number,
  stop: AbortSignal,
): { readonly ran: () => number; readonly ended: Promise<readonly string[]> } {
  let count = 0;
  const run = async () => {
    const errors: string[] = [];
    const session = await db.connect({ application_name: 'deployment' });
    // Each stream has tenants of its own: they must not wait for each other.
    const own = schemas.slice(offset * 12, offset * 12 + 12);
    await session.query("set lock_timeout = '1s'");
    for (let turn = 0; !stop.aborted; turn += 1) {
      for (const statement of statements(own[turn % own.length]!)) {
        try {
          await session.query(statement);
        } catch (error) {
          const isDropped = statement.includes('tenant_t36');
          if (!isDropped) errors.push(`${statement}: ${(error as Error).message}`);
        }
        count += 1;
      }
    }
    await session.end();
    return errors;
  };
  return { ran: () => count, ended: run() };
}

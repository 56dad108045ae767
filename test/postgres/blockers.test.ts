import { expect, it } from 'vitest';
import { tenantKey } from '../../src/postgres/advisory-locks.ts';
import { findBlockers, findSchemaLockHolders } from '../../src/postgres/blockers.ts';
import { Session } from '../../src/postgres/session.ts';
import { eventually } from '../support/barrier.ts';
import { createTestDatabase } from '../support/database.ts';
import { startOwnCluster } from '../support/own-cluster.ts';
import { openSession, pidOf } from '../support/sessions.ts';

const database = await createTestDatabase({ until: 'file' });
const open = (name = 'tenantctl/test/-') => openSession(database.name, { application_name: name });
await database.query('create schema a; create table a.t (id int); create schema b; create table b.t (id int)');

it('names those whom a statement waits for, the ones in front of it in the queue too', async () => {
  const [reader, first, second, watch] = [
    await open('report'),
    await open('first'),
    await open('second'),
    await open(),
  ];
  await reader.raw('begin; select from a.t');
  await reader.raw('select pg_catalog.pg_advisory_lock($1::bigint)', [tenantKey('a')]);
  const alter = (session: Session) => session.raw('alter table a.t add column if not exists c int');
  const pids = [await pidOf(reader), first.announcedPid, second.announcedPid] as const;
  const waitFor = (count: number) =>
    eventually('they wait', async () => {
      const blockers = await findBlockers(watch, [pids[1], pids[2], await pidOf(watch)]);
      return blockers.size === count ? blockers : null;
    });
  const waiting = [alter(first)];
  await waitFor(1);
  waiting.push(alter(second));
  const found = await waitFor(2);
  expect(found.get(pids[1])).toEqual([
    {
      pid: pids[0],
      application: 'report',
      user: expect.any(String),
      state: 'idle in transaction',
      transactionStartedAt: expect.any(Date),
      queryStartedAt: expect.any(Date),
      keys: [tenantKey('a')],
    },
  ]);
  expect(
    found
      .get(pids[2])
      ?.map(({ pid }) => pid)
      .toSorted(),
  ).toEqual([pids[0], pids[1]].toSorted());
  await reader.raw('rollback');
  await Promise.all(waiting);
});

it('names a snapshot that a concurrent index build waits for', async () => {
  const [old, builder, watch] = [await open('pg_dump'), await open(), await open()];
  await old.raw('begin isolation level repeatable read; select 1');
  const building = builder.raw('create index concurrently on a.t (id)');
  const found = await eventually('it waits', async () => {
    const blockers = await findBlockers(watch, [builder.announcedPid]);
    return blockers.get(builder.announcedPid) ?? null;
  });
  expect(found).toMatchObject([{ application: 'pg_dump', keys: [] }]);
  await old.raw('rollback');
  await building;
});

it('names after the fact who holds locks in one schema, and leaves the asking session out', async () => {
  const [holder, elsewhere, asking] = [await open('report'), await open(), await open()];
  await holder.raw('begin; lock table a.t in access share mode');
  await elsewhere.raw('begin; lock table b.t in access share mode');
  await asking.raw('begin; lock table a.t in access share mode');
  expect(await findSchemaLockHolders(asking, 'a', 0)).toMatchObject([
    { pid: await pidOf(holder), application: 'report' },
  ]);
  for (const session of [holder, elsewhere, asking]) await session.raw('rollback');
});

it('names a prepared transaction by pid 0, for it has no backend', async () => {
  const cluster = await startOwnCluster({ max_prepared_transactions: 2 });
  await cluster.query('postgres', 'create table t (id int)');
  const { socketDir: host, port, user } = cluster;
  const connect = () => Session.connect({ host, port, user, database: 'postgres', ssl: false });
  const [preparing, waiting, watch] = [await connect(), await connect(), await connect()];
  await preparing.raw('begin; lock table t; prepare transaction $$p$$'.replaceAll('$$', "'"));
  const waits = waiting.raw('alter table t add column c int').catch(() => {});
  const found = await eventually('it waits', async () => {
    return (await findBlockers(watch, [waiting.announcedPid])).get(waiting.announcedPid) ?? null;
  });
  expect(found).toMatchObject([{ pid: 0, application: null, user: null, keys: [] }]);
  await preparing.raw("rollback prepared 'p'");
  await waits;
  for (const session of [preparing, waiting, watch]) await session.end();
});

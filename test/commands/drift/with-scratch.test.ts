import { describe, expect, it, onTestFinished } from 'vitest';
import { withScratch } from '../../../src/commands/drift/with-scratch.ts';
import { RefusedError, StoppedError } from '../../../src/errors.ts';
import { sql } from '../../../src/postgres/sql.ts';
import { asSuperuser, databaseUrl, dropDatabase } from '../../support/database.ts';
import { createFleet, type FleetSpec } from '../../support/fleet.ts';
import { inFleet, makeContext, type TestContext } from '../../support/in-fleet.ts';
import { connectSession } from '../../support/sessions.ts';

async function databasesLike(pattern: string): Promise<readonly string[]> {
  return asSuperuser(async (admin) => {
    const { rows } = await admin.query('select datname from pg_database where datname like $1 order by 1', [pattern]);
    return rows.map(({ datname }) => datname);
  });
}

/** A fleet of one tenant, and what is done in a scratch database of it. */
async function scratched<T>(
  work: Parameters<typeof withScratch<T>>[3],
  spec: FleetSpec = {},
  change: (test: TestContext) => void = () => {},
) {
  const fleet = await createFleet({ schemas: { acme: 'acme' }, ...spec });
  const test = makeContext(fleet.folder);
  let run = '';
  const result = inFleet(test, (opened) => {
    run = opened.run;
    change(test);
    return withScratch(test.context, opened, opened.tenants[0]!, work);
  });
  const settled = await result.then(
    (value) => ({ value, error: null }),
    (error: unknown) => ({ value: null, error }),
  );
  return { ...settled, left: await databasesLike(`tenantctl\\_drift\\_${run}%`), test };
}

describe('a scratch database', () => {
  it('is empty and marked while the work lasts, and gone after it', async () => {
    const { value, left } = await scratched(async ({ session, database }) => {
      const [row] = await session.query<{ name: string; comment: string }>(sql`
        SELECT current_database() AS name, shobj_description(oid, 'pg_database') AS comment
          FROM pg_database WHERE datname = current_database()`);
      return { ...row, database };
    });
    expect(value?.name).toBe(value?.database);
    expect(value?.comment).toMatch(/^scratch database of tenantctl drift, run \d/);
    expect(left).toEqual([]);
  });

  it('is gone after an error, and with a server that lends one connection', async () => {
    const boom = new Error('boom');
    const { error, left, test } = await scratched(async () => Promise.reject(boom), {
      inventory: { limits: { perServer: 1 } },
    });
    expect(error).toBe(boom);
    expect(left).toEqual([]);
    expect(test.notices()).toEqual([]);
  });

  it('is gone after a Ctrl-C that ends its work, or cancels it', async () => {
    const stopped = await scratched(
      async () => Promise.reject(new Error('aborted')),
      {},
      (test) => {
        queueMicrotask(() => test.interrupt('stop'));
      },
    );
    expect(stopped.error).toBeInstanceOf(StoppedError);
    expect(stopped.left).toEqual([]);
    let context: TestContext | null = null;
    const cancelled = await scratched(
      async ({ session }) => {
        const sleeping = session.query(sql`SELECT pg_sleep(600)`);
        context?.interrupt('stop');
        context?.interrupt('cancel');
        await sleeping;
      },
      {},
      (test) => {
        context = test;
      },
    );
    expect(cancelled.error).toBeInstanceOf(StoppedError);
    expect(cancelled.left).toEqual([]);
    expect(cancelled.test.notices()).toEqual([]);
  });

  it('is refused to a role that may make none', async () => {
    const role = `nobody_${Date.now()}`;
    await asSuperuser((admin) => admin.query(`create role ${role} login`));
    onTestFinished(() => asSuperuser(async (admin) => void (await admin.query(`drop role ${role}`))));
    const url = (database: string) => databaseUrl(database).replace(/\/\/\w+@/, `//${role}@`);
    const { error, left } = await scratched(async () => 'made', { url });
    expect(error).toBeInstanceOf(RefusedError);
    expect(error).toHaveProperty(
      'message',
      'no scratch database can be made on server main: the login role may not make databases',
    );
    expect(error).toHaveProperty('hint', expect.stringContaining('createdb'));
    expect(left).toEqual([]);
  });
});

describe('what a killed run left', () => {
  it('is dropped by the next one; what lives, or is nobody’s of ours, stays', async () => {
    const id = `kill${Date.now()}`;
    const names = ['dead', 'alive', 'unmarked', 'unused', 'fresh'].map((name) => `tenantctl_drift_${id}_${name}`);
    const [dead, alive, unmarked, unused, fresh] = names as [string, string, string, string, string];
    onTestFinished(async () => void (await Promise.all(names.map(dropDatabase))));
    await asSuperuser(async (admin) => {
      for (const name of names) await admin.query(`create database "${name}" template template0 strategy file_copy`);
      for (const name of [dead, alive]) {
        await admin.query(`comment on database "${name}" is 'scratch database of tenantctl drift, run ${id}'`);
      }
    });
    await asSuperuser(async (admin) => {
      // Two runs that nobody saw connect: one was killed long ago, the other is about to.
      for (const [name, at] of [
        [unused, 1e9],
        [fresh, Math.floor(Date.now() / 1000)],
      ]) {
        await admin.query(`comment on database "${name}"
          is 'scratch database of tenantctl drift, run ${id}, not in use yet at ${at}'`);
      }
    });
    const session = await connectSession(alive);
    await scratched(async () => 'done');
    expect(await databasesLike(`tenantctl\\_drift\\_${id}%`)).toEqual([alive, fresh, unmarked]);
    await session.end();
  });
});

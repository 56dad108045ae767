import { describe, expect, it } from 'vitest';
import { createFleet } from '../support/fleet.ts';
import { findPgBouncer, startPgBouncer } from '../support/pgbouncer.ts';

const program = await findPgBouncer();
if (program === null) {
  process.stderr.write('NOT TESTED: the pooler guard; install pgbouncer to test it\n');
}

const fleet = await createFleet({ schemas: 2, migrations: { '0001_a.sql': 'CREATE TABLE a ();' }, until: 'file' });

/** Migrates the fleet with the pooler's address in place of the server's. */
async function migrateThrough(url: string) {
  await fleet.writeInventory({ servers: { main: { url } } });
  return fleet.run('migrate --all');
}

describe.skipIf(program === null)('a PgBouncer between tenantctl and the server', () => {
  it.each([
    { what: 'transaction mode', settings: ['pool_mode = transaction'] },
    { what: 'transaction mode with one backend', settings: ['pool_mode = transaction', 'default_pool_size = 1'] },
    {
      what: 'transaction mode that takes backends in turn',
      settings: ['pool_mode = transaction', 'server_round_robin = 1'],
    },
    { what: 'statement mode', settings: ['pool_mode = statement'] },
  ])('$what is refused before anything is touched', async ({ settings }) => {
    const pooler = await startPgBouncer(program!, settings);
    try {
      const result = await migrateThrough(pooler.url);
      expect(result.stderr).toMatch(/server main is reached through a pooler in transaction mode/);
      expect(result.exitCode).toBe(5);
    } finally {
      await pooler.stop();
    }
  });

  it('session mode works', async () => {
    const pooler = await startPgBouncer(program!, ['pool_mode = session']);
    try {
      const result = await migrateThrough(pooler.url);
      expect(result).toMatchObject({ exitCode: 0 });
    } finally {
      await pooler.stop();
    }
  });
});

import { onTestFinished } from 'vitest';
import { tenantKey } from '../../src/postgres/advisory-locks.ts';
import type { TestDatabase } from './database.ts';

/** Holds a tenant's own lock as another run does that works on it. */
export async function holdTenant(db: TestDatabase, schema: string): Promise<{ readonly release: () => Promise<void> }> {
  const session = await db.connect({ application_name: 'tenantctl/zzzz/other' });
  onTestFinished(() => session.end());
  await session.query('select pg_advisory_lock($1::bigint)', [tenantKey(schema)]);
  return { release: async () => void (await session.query('select pg_advisory_unlock_all()')) };
}

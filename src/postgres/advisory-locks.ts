import { createHash } from 'node:crypto';
import type { Session } from './session.ts';
import { sql } from './sql.ts';

/** A 64-bit key as PostgreSQL takes it: a signed decimal. */
export type LockKey = string;

function keyOf(name: string): LockKey {
  return createHash('sha256').update(name).digest().readBigInt64BE(0).toString();
}

/** Whole-database work (a dump) holds the gate while it waits for the shape; who changes one tenant passes through it. */
export const gateKey: LockKey = keyOf('tenantctl gate');
/** Held shared by who changes a tenant, exclusively by who needs the database's shape to stand still. */
export const shapeKey: LockKey = keyOf('tenantctl shape');
const databaseTenantKey: LockKey = keyOf('tenantctl database tenant');

/** The key of a tenant in its database: by its schema, or a constant for a tenant that is the whole database. */
export function tenantKey(schema: string | null): LockKey {
  return schema === null ? databaseTenantKey : keyOf(`tenantctl tenant ${schema}`);
}

/** Which lock was not to be had. */
export type FailedLock = 'tenant' | 'gate' | 'shape';

/**
 * Tries once to take a tenant for changing it: its own lock, and a place among those that the database's gate and
 * shape admit. Session locks on the very session that does the work: they outlive a killed client for as long as its
 * statement runs. Returns null when it has them, else which one is taken; then nothing is held.
 */
export async function tryLockTenant(session: Session, key: LockKey): Promise<FailedLock | null> {
  // CASE is evaluated in order and stops at the first lock that is taken.
  const [row] = await session.query<{ taken: FailedLock | null }>(sql`SELECT CASE
    WHEN NOT pg_catalog.pg_try_advisory_lock(${key}::bigint) THEN 'tenant'
    WHEN NOT pg_catalog.pg_try_advisory_lock_shared(${gateKey}::bigint) THEN 'gate'
    WHEN NOT pg_catalog.pg_try_advisory_lock_shared(${shapeKey}::bigint) THEN 'shape'
    WHEN pg_catalog.pg_advisory_unlock_shared(${gateKey}::bigint) THEN NULL
    END AS taken`);
  const taken = row?.taken ?? null;
  if (taken === null) session.holdsLocks = true;
  else await unlockAll(session);
  return taken;
}

/** Lets go of all advisory locks of a session. */
export async function unlockAll(session: Session): Promise<void> {
  await session.query(sql`SELECT pg_catalog.pg_advisory_unlock_all()`);
  session.holdsLocks = false;
}

/**
 * Tries once to take a key of a database for work on all of it. Such keys outlive the transactions of their session.
 */
export async function tryLockDatabase(session: Session, key: LockKey): Promise<boolean> {
  const [row] = await session.query<{ taken: boolean }>(
    sql`SELECT pg_catalog.pg_try_advisory_lock(${key}::bigint) AS taken`,
  );
  if (row?.taken === true) session.holdsLocks = true;
  return row?.taken === true;
}

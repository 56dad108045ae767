import type { RunState } from '../fleet/run-records.ts';
import type { Tenant } from '../fleet/tenant.ts';
import { gateKey, type LockKey, shapeKey, tenantKey } from '../postgres/advisory-locks.ts';
import { type LockSession, nodePgMigrateKey } from '../postgres/stale-sessions.ts';

/** What the state folder knows of the run that a session belongs to. */
export interface RunOfSession {
  readonly run: string;
  readonly state: RunState;
  /** Its record tells its end. Without it a run is only taken for over: nobody has seen a sign of life for a while. */
  readonly hasEnded: boolean;
}

/** One session that holds locks of selected tenants, or of their whole database. */
export interface HeldLock {
  readonly server: string;
  readonly database: string;
  readonly session: LockSession;
  /** The selected tenants whose lock it holds. */
  readonly tenants: readonly Tenant[];
  /** Of the whole database: `gate`, `shape`, `node-pg-migrate`. */
  readonly databaseLocks: readonly string[];
  /** It has one of those to itself: every tenant of the database is kept waiting. */
  readonly blocksDatabase: boolean;
  readonly run: RunOfSession | null;
}

/** May a session be ended, and why (not). */
export interface Verdict {
  /** `abandoned`: nobody works there. `working`: only by force. `unseen`: never, for it cannot be looked at. */
  readonly verdict: 'abandoned' | 'working' | 'unseen';
  readonly because: string;
}

/** The locks to look for in a database with these tenants. */
export function keysOf(tenants: readonly Tenant[]): readonly LockKey[] {
  return [...new Set([...tenants.map(({ schema }) => tenantKey(schema)), gateKey, shapeKey, nodePgMigrateKey])];
}

/**
 * Says which of a session's locks concern these tenants; null: none does. Whoever changes a tenant that is not selected
 * shares gate and shape with the others, and is in nobody's way.
 */
export function readLocks(
  session: LockSession,
  tenants: readonly Tenant[],
): Pick<HeldLock, 'tenants' | 'databaseLocks' | 'blocksDatabase'> | null {
  const held = new Map(session.locks.map(({ key, isExclusive }) => [key, isExclusive]));
  const theirs = tenants.filter(({ schema }) => held.has(tenantKey(schema)));
  const names = new Map([
    [gateKey, 'gate'],
    [shapeKey, 'shape'],
    [nodePgMigrateKey, 'node-pg-migrate'],
  ]);
  const databaseLocks = [...names].flatMap(([key, name]) => {
    const isExclusive = held.get(key);
    return isExclusive === undefined ? [] : [{ name, isExclusive }];
  });
  const blocksDatabase = databaseLocks.some(({ isExclusive }) => isExclusive);
  if (theirs.length === 0 && !blocksDatabase) return null;
  return { tenants: theirs, databaseLocks: databaseLocks.map(({ name }) => name), blocksDatabase };
}

/** `k3f9` of `tenantctl/k3f9/acme`; null for sessions that are not tenantctl's. */
export function runTailOf({ application }: Pick<LockSession, 'application'>): string | null {
  return /^tenantctl\/([^/]+)\//.exec(application ?? '')?.[1] ?? null;
}

/**
 * A session is taken for abandoned when it is tenantctl's and idle, and its run has recorded its end. A run that is not
 * recorded here may go on elsewhere; one that seems to be killed may have another clock, or a record out of a cache, and
 * its sessions are idle between two statements. Then it must have been idle for long.
 */
export function judgeSession(held: Pick<HeldLock, 'session' | 'run'>, idleAfterMs: number): Verdict {
  const { session, run } = held;
  if (session.startedAt === null || session.state === null) {
    return { verdict: 'unseen', because: 'the login role may not see what it does' };
  }
  const working = (because: string): Verdict => ({ verdict: 'working', because });
  if (runTailOf(session) === null) {
    const isOther = session.locks.some(({ key }) => key === nodePgMigrateKey);
    return working(isOther ? 'it is node-pg-migrate’s' : 'it is no session of tenantctl');
  }
  if (!session.state.startsWith('idle')) return working('a statement runs');
  if (run?.state === 'running') return working('its run goes on');
  if (run?.hasEnded) return { verdict: 'abandoned', because: 'its run is over' };
  const seconds = Math.floor((session.stateMs ?? 0) / 1000);
  if ((session.stateMs ?? 0) < idleAfterMs) return working(`it has been idle for ${seconds} s only`);
  return { verdict: 'abandoned', because: `it has been idle for ${seconds} s` };
}

import type { Context } from '../../context.ts';
import { TenantError, UsageError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Place } from '../../fleet/place.ts';
import { runFleet } from '../../fleet/run.ts';
import { readRun, runState } from '../../fleet/run-records.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import {
  type HeldLock,
  judgeSession,
  keysOf,
  type RunOfSession,
  readLocks,
  runTailOf,
  type Verdict,
} from '../../migrations/held-locks.ts';
import type { Result } from '../../output/result.ts';
import { endLockSession, findLockSessions } from '../../postgres/stale-sessions.ts';
import { applicationName, prepareReader } from '../../postgres/tenant-session.ts';
import { askConsent } from '../consent.ts';
import type { FleetOptions } from '../fleet-options.ts';
import { type Fleet, groupByPlace, mergeOutcomes } from '../open-fleet.ts';
import { errorReader, goOn, readFleet } from '../read-fleet.ts';
import { recordRun } from '../record-run.ts';
import { describeLocks, type LockReport, lockJson } from './repair-locks-text.ts';

/** What `migrate repair --locks` is told. */
export interface LockOptions extends FleetOptions {
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly force: boolean;
  readonly idleMs: number;
}

/** `value` of a done outcome. */
export interface LockResult {
  /** Sessions that hold the tenant's lock, or one of its whole database. */
  readonly held: readonly LockReport[];
}

interface Judged extends HeldLock, Verdict {
  readonly mayEnd: boolean;
}

type End = Awaited<ReturnType<typeof endLockSession>>;
type Ends = Map<HeldLock, End>;

const endWords: Readonly<Record<End, string>> = {
  ended: 'ended',
  gone: 'gone by itself',
  busy: 'left alone after all',
  stays: 'told to end and still there',
};

/** Shows who holds the tenants' locks and, after consent, ends the sessions that nobody works on any more. */
export async function repairLocks(context: Context, fleet: Fleet, options: LockOptions): Promise<Result<LockResult>> {
  const { environment, state } = fleet.inventory;
  const { outcomes: looked, found } = await findLocks(context, fleet, state);
  const held = found.map((lock): Judged => {
    const judged = judgeSession(lock, options.idleMs);
    const mayEnd = judged.verdict === 'abandoned' || (options.force && judged.verdict === 'working');
    return { ...lock, ...judged, mayEnd };
  });
  const ending = held.filter(({ mayEnd }) => mayEnd);
  const read = looked.map((outcome): Outcome<LockResult> => {
    if (outcome.status !== 'done') return outcome;
    return { ...outcome, value: resultFor(outcome.tenant, held, new Map()) };
  });
  const answer = { environment, sources: fleet.sources };
  if (options.dryRun || ending.length === 0) {
    for (const outcome of [...fleet.rejected, ...read]) context.emit({ type: 'settled', outcome });
    return {
      ...answer,
      outcomes: mergeOutcomes<LockResult>(fleet.selected, fleet.rejected, read),
      run: null,
      text: describeLocks(environment, held, () => 'would be ended'),
      extra: options.dryRun ? { dryRun: true } : {},
    };
  }
  const lines = describeLocks(environment, held, () => 'would be ended');
  await askConsent(context, environment, { lines, risk: 'this ends sessions of other programs' }, options.yes);
  const ends: Ends = new Map();
  const done = await recordRun(context, fleet, 'migrate repair', { locks: true, force: options.force }, (recorded) => {
    const others = read.filter(({ tenant }) => !ending.some((lock) => concerns(lock, tenant)));
    for (const outcome of [...fleet.rejected, ...others]) recorded.emit({ type: 'settled', outcome });
    return endSessions(recorded, fleet, held, options, ends);
  });
  return {
    ...answer,
    outcomes: mergeOutcomes<LockResult>(fleet.selected, fleet.rejected, read, done),
    run: fleet.run,
    text: describeLocks(environment, held, (lock) => endWords[ends.get(lock) ?? 'busy']),
  };
}

/** One statement a database. */
async function findLocks(
  context: Context,
  fleet: Fleet,
  state: string,
): Promise<{ readonly outcomes: readonly Outcome<null>[]; readonly found: readonly HeldLock[] }> {
  const found: HeldLock[] = [];
  const runs = new Map<string, Promise<RunOfSession | null>>();
  const runOf = (tail: string | null): Promise<RunOfSession | null> => {
    if (tail === null) return Promise.resolve(null);
    const run = runs.get(tail) ?? findRun(state, tail, context.now());
    runs.set(tail, run);
    return run;
  };
  const name = applicationName(fleet.run, 'locks');
  const places = groupByPlace(fleet.tenants).map(
    ({ server, database, tenants }): Place<unknown, null> => ({
      server,
      database,
      tenants,
      batches: () => [{ tenants }],
      work: (_scope, batch, task) =>
        fleet.pools.use(server, database, async (session) => {
          await prepareReader(session, name);
          for (const each of await findLockSessions(session, keysOf(batch.tenants))) {
            const locks = readLocks(each, batch.tenants);
            if (locks === null) continue;
            found.push({ server, database, session: each, ...locks, run: await runOf(runTailOf(each)) });
          }
          for (const tenant of batch.tenants) task.done(tenant, null);
        }),
    }),
  );
  const outcomes = await readFleet<null>(context, fleet, 'looking for locks', fleet.tenants, places);
  return { outcomes, found };
}

/** Null: it is not recorded here, but on another machine perhaps. */
async function findRun(state: string, tail: string, now: Date): Promise<RunOfSession | null> {
  try {
    const record = await readRun(state, tail);
    return { run: record.manifest.run, state: runState(record, now), hasEnded: record.end !== null };
  } catch (error) {
    if (error instanceof UsageError) return null;
    throw error;
  }
}

async function endSessions(
  context: Context,
  fleet: Fleet,
  held: readonly Judged[],
  options: LockOptions,
  ends: Ends,
): Promise<Outcome<LockResult>[]> {
  const ending = held.filter(({ mayEnd }) => mayEnd);
  const tenants = fleet.tenants.filter((tenant) => ending.some((lock) => concerns(lock, tenant)));
  const name = applicationName(fleet.run, 'locks');
  const places = groupByPlace(tenants).map(
    (group): Place<unknown, LockResult> => ({
      ...group,
      batches: () => [{ tenants: group.tenants }],
      work: (_scope, batch, task) =>
        fleet.pools.use(group.server, group.database, async (session) => {
          await prepareReader(session, name);
          for (const lock of ending.filter((each) => isIn(each, group))) {
            task.signal.throwIfAborted();
            if (ends.has(lock)) continue;
            const idleMs = options.force ? null : lock.run?.hasEnded ? 0 : options.idleMs;
            const keys = lock.session.locks.map(({ key }) => key);
            ends.set(lock, await endLockSession(session, { ...lock.session, keys, idleMs }));
          }
          for (const tenant of batch.tenants) {
            const left = [...ends].find(([lock, end]) => concerns(lock, tenant) && (end === 'busy' || end === 'stays'));
            if (left === undefined) task.done(tenant, resultFor(tenant, held, ends));
            else task.failed(tenant, stillThere(left[0], left[1]));
          }
        }),
    }),
  );
  const { limits } = fleet;
  return runFleet<LockResult>({
    ...{ phase: 'ending sessions', tenants, places, limits, policy: goOn, timeoutMs: null, errors: errorReader },
    interrupts: context.interrupts,
    emit: context.emit,
  });
}

function isIn(lock: HeldLock, place: { readonly server: string; readonly database: string }): boolean {
  return lock.server === place.server && lock.database === place.database;
}

/** Its own lock, or one of its whole database. */
function concerns(lock: HeldLock, tenant: Tenant): boolean {
  return lock.tenants.includes(tenant) || (lock.blocksDatabase && isIn(lock, tenant));
}

function resultFor(tenant: Tenant, held: readonly Judged[], ends: ReadonlyMap<HeldLock, End>): LockResult {
  return {
    held: held.filter((lock) => concerns(lock, tenant)).map((lock) => lockJson(lock, lock, ends.get(lock) ?? null)),
  };
}

function stillThere({ session }: HeldLock, end: End): TenantError {
  return new TenantError({
    message: `pid ${session.pid} ${end === 'busy' ? 'began to work and was left alone' : 'was told to end and is still there'}`,
    code: 'locked',
    hint: 'look again: tenantctl migrate repair --locks --dry-run',
  });
}

import type { Context } from '../context.ts';
import { cutWaves, type WavePlan } from '../fleet/cut-waves.ts';
import type { RunLimits } from '../fleet/limits.ts';
import type { Outcome } from '../fleet/outcome.ts';
import type { Place, Task } from '../fleet/place.ts';
import { type AfterWave, runFleet } from '../fleet/run.ts';
import { resolveShare } from '../fleet/share.ts';
import { type Tenant, tenantSchema } from '../fleet/tenant.ts';
import { timedOut } from '../fleet/time-limit.ts';
import { conflict } from '../migrations/lane-rules.ts';
import type { TakeOptions } from '../migrations/take-tenant.ts';
import { unlockAll } from '../postgres/advisory-locks.ts';
import { findSchemaLockHolders } from '../postgres/blockers.ts';
import { keepCancelling } from '../postgres/cancelling.ts';
import { toFailure } from '../postgres/failure.ts';
import { LockedError } from '../postgres/lock-wait.ts';
import type { Session } from '../postgres/session.ts';
import { applicationName } from '../postgres/tenant-session.ts';
import type { ChangeSettings } from './change-settings.ts';
import { type Fleet, groupByPlace } from './open-fleet.ts';
import { errorReader } from './read-fleet.ts';
import { finalError, Retries, wasBlocked } from './retries.ts';
import { BlockerWatch } from './watch-blockers.ts';

/** Instead of a result: a part is done and stays, the rest wants a turn of its own in these lanes. */
export class GoOn {
  readonly lanes: ReadonlySet<string>;

  constructor(lanes: ReadonlySet<string>) {
    this.lanes = lanes;
  }
}

/** What the turns of a tenant have left behind that has not come to its end. */
export interface LeftBehind {
  /** Run and recorded. */
  readonly names: readonly string[];
  /** A COMMIT was lost, and nobody has looked yet whether it was one. */
  readonly isCommitUnknown: boolean;
}

export interface ChangeRun<V> {
  /** For progress: `migrating`. */
  readonly phase: string;
  readonly tenants: readonly Tenant[];
  /** What the first turn of a tenant does to its database; nothing that keeps others out, when it is not said. */
  readonly lanes?: (tenant: Tenant) => ReadonlySet<string>;
  /** One turn of one tenant, on a session that is its own while this runs. */
  readonly change: (session: Session, tenant: Tenant, options: TakeOptions) => Promise<V | GoOn>;
  /** Nothing, when it is not said. */
  readonly leftBehind?: (tenant: Tenant) => LeftBehind;
  /** That a tenant takes: its session, and those of programs beside it. 1, when it is not said. */
  readonly connections?: number;
  /** When it is not said: the canary, then all others at once. */
  readonly waves?: readonly WavePlan[];
  readonly afterWave?: AfterWave;
}

/** Changes tenants one at a time, many side by side: one outcome for each. */
export async function changeTenants<V>(
  context: Context,
  fleet: Fleet,
  run: ChangeRun<V>,
  settings: ChangeSettings,
): Promise<Outcome<V>[]> {
  const { tenants } = run;
  const turns = new Turns(fleet, run, settings);
  const places = groupByPlace(tenants).map(
    (group): Place<unknown, V> => ({
      ...group,
      batches: () =>
        group.tenants.map((tenant) => ({
          tenants: [tenant],
          lanes: run.lanes?.(tenant) ?? none,
          connections: run.connections ?? 1,
        })),
      mayRunBeside: ({ lanes = none }, running) => {
        for (const other of running) if (conflict(lanes, other.lanes ?? none)) return false;
        return true;
      },
      work: async (_scope, { tenants: [tenant] }, task) => {
        if (tenant !== undefined) await turns.take(tenant, task);
      },
    }),
  );
  const { canary, maxFailures } = settings;
  return runFleet<V>({
    phase: run.phase,
    tenants,
    waves: run.waves ?? cutWaves(tenants, canary === null ? 0 : resolveShare(canary, tenants.length), []),
    ...(run.afterWave === undefined ? {} : { afterWave: run.afterWave }),
    places,
    limits: leaveOneToWatch(fleet.limits),
    policy: {
      maxFailures: maxFailures === null ? null : resolveShare(maxFailures, tenants.length),
      maxSameCause: settings.maxSameCause,
    },
    timeoutMs: settings.timeoutMs,
    outageMs: settings.retryForMs,
    errors: errorReader,
    interrupts: context.interrupts,
    emit: context.emit,
  });
}

/** Below this each connection counts, and the watch waits until one is free. */
const manyConnections = 8;

/** One connection of a server's limit is left for the look at who blocks whom. */
function leaveOneToWatch(limits: RunLimits): RunLimits {
  const lowered = (limit: number) => (limit >= manyConnections ? limit - 1 : limit);
  return {
    ...limits,
    fleet: { ...limits.fleet, perServer: lowered(limits.fleet.perServer) },
    perServer: new Map([...limits.perServer].map(([server, limit]) => [server, lowered(limit)])),
  };
}

const none: ReadonlySet<string> = new Set();
const nothing: LeftBehind = { names: [], isCommitUnknown: false };

/** The turns of the tenants of one run: each takes a session, and is made again where that can help. */
class Turns<V> {
  readonly #fleet: Fleet;
  readonly #run: ChangeRun<V>;
  readonly #settings: ChangeSettings;
  readonly #watch: BlockerWatch;
  readonly #retries = new Map<Tenant, Retries>();

  constructor(fleet: Fleet, run: ChangeRun<V>, settings: ChangeSettings) {
    this.#fleet = fleet;
    this.#run = run;
    this.#settings = settings;
    this.#watch = new BlockerWatch(fleet.pools, applicationName(fleet.run, 'watch'), run.tenants);
  }

  async take(tenant: Tenant, task: Task<V>): Promise<void> {
    const retries = this.#retriesOf(tenant);
    retries.begin(performance.now());
    let turn: V | GoOn | LockedError;
    try {
      turn = await this.#fleet.pools.use(tenant.server, tenant.database, (session) =>
        this.#change(session, tenant, task),
      );
    } catch (error) {
      this.#retry(tenant, error, retries, task);
      return;
    }
    if (turn instanceof LockedError) this.#retry(tenant, turn, retries, task);
    else if (turn instanceof GoOn) {
      retries.nextStage(performance.now());
      task.goOn(tenant, turn.lanes);
    } else {
      this.#retries.delete(tenant);
      task.done(tenant, turn);
    }
  }

  #retriesOf(tenant: Tenant): Retries {
    const retries = this.#retries.get(tenant) ?? new Retries(this.#settings);
    this.#retries.set(tenant, retries);
    return retries;
  }

  /** A lock that is not to be had is no error of the session, which goes on to the next tenant. */
  async #change(session: Session, tenant: Tenant, task: Task<V>): Promise<V | GoOn | LockedError> {
    const beganAt = performance.now();
    let stopCancelling = () => {};
    const cancel = () => {
      stopCancelling = keepCancelling(session);
    };
    task.signal.addEventListener('abort', cancel, { once: true });
    let isBlocked = false;
    const unwatch = this.#watch.watch(tenant, session.announcedPid, (blockers) => {
      isBlocked ||= blockers.length > 0;
      task.blocked(tenant, blockers);
    });
    try {
      task.signal.throwIfAborted();
      const turn = await this.#run.change(session, tenant, this.#takeOptions(tenant, task));
      task.blocked(tenant, []);
      // Its next turn may come at once, on another session.
      if (turn instanceof GoOn) await unlockAll(session);
      return turn;
    } catch (error) {
      if (error instanceof LockedError) return error;
      if (wasBlocked(error) && !isBlocked) await this.#nameBlockers(session, tenant, performance.now() - beganAt, task);
      throw error;
    } finally {
      unwatch();
      task.signal.removeEventListener('abort', cancel);
      stopCancelling();
    }
  }

  #takeOptions(tenant: Tenant, task: Task<V>): TakeOptions {
    const { timeouts } = this.#fleet.inventory;
    return {
      run: this.#fleet.run,
      applicationName: applicationName(this.#fleet.run, tenant.id),
      lockTimeoutMs: this.#settings.lockTimeoutMs ?? timeouts.lockMs,
      statementTimeoutMs: timeouts.statementMs,
      indexTimeoutMs: timeouts.indexBuildMs,
      signal: task.signal,
      onStep: (step) => task.step(tenant, step),
    };
  }

  #retry(tenant: Tenant, error: unknown, retries: Retries, task: Task<V>): void {
    if (error instanceof LockedError) {
      task.step(tenant, 'waiting for the lock');
      if (error.holder !== null) task.blocked(tenant, [this.#watch.name(error.holder, tenant)]);
    }
    // What was cancelled is not tried again.
    const pause = task.signal.aborted ? null : retries.after(error, performance.now());
    const { names, isCommitUnknown } = this.#run.leftBehind?.(tenant) ?? nothing;
    const last = finalError(error, this.#settings, names);
    if (pause !== null) {
      const isAttempt = !(error instanceof LockedError);
      task.retry(tenant, last, pause, { isUntouched: names.length === 0 && !isCommitUnknown, isAttempt });
      return;
    }
    const { timeoutMs } = this.#settings;
    if (timeoutMs === null || !retries.isTimeUp) throw last;
    throw timedOut(timeoutMs, { tenants: [tenant] }, toFailure(last), last);
  }

  /** After a lock timeout, when nobody was seen while the statement waited. */
  async #nameBlockers(session: Session, tenant: Tenant, forMs: number, task: Task<V>): Promise<void> {
    try {
      await session.raw('ROLLBACK');
      const holders = await findSchemaLockHolders(session, tenantSchema(tenant), forMs);
      task.blocked(
        tenant,
        holders.map((holder) => this.#watch.name(holder, tenant)),
      );
    } catch {
      // The lock timeout is what there is to tell.
    }
  }
}

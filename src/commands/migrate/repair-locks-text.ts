import type { HeldLock, RunOfSession, Verdict } from '../../migrations/held-locks.ts';
import { listNames, plural } from '../../words.ts';

/** One session in the json report. */
export interface LockReport {
  readonly pid: number;
  /** `tenant`, and those of the whole database. */
  readonly locks: readonly string[];
  readonly application: string | null;
  readonly user: string | null;
  /** Null: the server's own machine, or not to be seen. */
  readonly client: string | null;
  readonly state: string | null;
  /** RFC 3339: since when it is in that state. */
  readonly since: string | null;
  /** Null: no run that is recorded here. */
  readonly run: Omit<RunOfSession, 'hasEnded'> | null;
  readonly verdict: Verdict['verdict'];
  readonly because: string;
  /** What became of it; null: nothing was done. */
  readonly end: string | null;
}

export function lockJson(lock: HeldLock, { verdict, because }: Verdict, end: string | null): LockReport {
  const { pid, application, user, client, state, stateSince } = lock.session;
  return {
    pid,
    locks: [...(lock.tenants.length > 0 ? ['tenant'] : []), ...lock.databaseLocks],
    ...{ application, user, client, state, since: stateSince?.toISOString() ?? null },
    run: lock.run === null ? null : { run: lock.run.run, state: lock.run.state },
    ...{ verdict, because, end },
  };
}

/** A line for each session; `action` says what happens to one that may be ended. */
export function describeLocks<L extends HeldLock & Verdict & { readonly mayEnd: boolean }>(
  environment: string,
  held: readonly L[],
  action: (lock: L) => string,
): string[] {
  if (held.length === 0) return [`environment ${environment}: no lock of the selected tenants is held`];
  const left = held.filter(({ mayEnd, verdict }) => !mayEnd && verdict === 'working').length;
  return [
    `environment ${environment}: ${plural(held.length, 'session')} with locks of the selected tenants`,
    ...held.map((lock) => {
      const end = lock.mayEnd ? action(lock) : 'left alone';
      return `${describeSession(lock)}: ${end}, ${lock.because}${describeRun(lock)}`;
    }),
    ...(left > 0
      ? [`${plural(left, 'session')} may be at work: --force would end ${left === 1 ? 'it' : 'them'} too`]
      : []),
  ];
}

/** `pid 4711 in main/saas (tenantctl/k3f9/acme, user deploy, idle since …, from 10.0.0.7) holds tenant acme and shape`. */
function describeSession({ session, server, database, tenants, databaseLocks }: HeldLock): string {
  const { pid, application, user, client, state, stateSince } = session;
  const facts = [
    application === null || application === '' ? 'no application name' : application,
    ...(user === null ? [] : [`user ${user}`]),
    ...(state === null ? [] : [stateSince === null ? state : `${state} since ${stateSince.toISOString()}`]),
    ...(client === null ? [] : [`from ${client}`]),
  ];
  const locks = [
    ...(tenants.length === 0 ? [] : [`tenant ${listNames(tenants.map(({ id }) => id))}`]),
    ...databaseLocks.map((name) =>
      name === 'node-pg-migrate' ? 'the lock of node-pg-migrate' : `the database’s ${name}`,
    ),
  ];
  return `pid ${pid} in ${server}/${database} (${facts.join(', ')}) holds ${listNames(locks, 5)}`;
}

function describeRun({ run, session }: HeldLock): string {
  if (run !== null) return ` (run ${run.run}: ${run.state})`;
  return session.application?.startsWith('tenantctl/') ? ' (its run is not recorded here)' : '';
}

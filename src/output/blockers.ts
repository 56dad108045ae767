import type { Blocker, Outcome } from '../fleet/outcome.ts';
import { listNames, plural } from '../words.ts';
import { safeText } from './safe-text.ts';
import { formatDuration } from './text.ts';

/**
 * Who keeps a tenant waiting, safe to print: `pid 4711 (psql, user app, idle in transaction, transaction open 42 s, last
 * query 40 s ago), tenant globex`. With `now` null, for reports that are read later, times stand in place of ages.
 */
export function describeBlocker(blocker: Blocker, now: Date | null): string {
  const { application, user, state, transactionStartedAt, queryStartedAt } = blocker;
  const transaction = timeText(transactionStartedAt, now);
  const query = timeText(queryStartedAt, now);
  const runs = state === 'active';
  const facts = [
    application ? safeText(application) : null,
    user ? `user ${safeText(user)}` : null,
    state ? safeText(state) : null,
    transaction === null ? null : `transaction open ${now === null ? 'since ' : ''}${transaction}`,
    query === null ? null : queryText(query, { runs, isAge: now !== null }),
  ].filter((fact) => fact !== null);
  return `${processName(blocker)}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}${tenantText(blocker)}`;
}

function queryText(time: string, { runs, isAge }: { readonly runs: boolean; readonly isAge: boolean }): string {
  if (runs) return `query running ${isAge ? '' : 'since '}${time}`;
  return isAge ? `last query ${time} ago` : `last query at ${time}`;
}

/** In a few words, for lists: `pid 4711 psql, tenant globex`. */
export function nameBlocker(blocker: Blocker): string {
  const application = blocker.application ? ` ${safeText(blocker.application)}` : '';
  return `${processName(blocker)}${application}${tenantText(blocker)}`;
}

/** What PostgreSQL calls pid 0 has no process: a transaction that was prepared and not ended. */
function processName({ pid }: Blocker): string {
  return pid === 0 ? 'a prepared transaction' : `pid ${pid}`;
}

function tenantText({ tenant }: Blocker): string {
  return tenant === null ? '' : `, tenant ${safeText(tenant)}`;
}

/** An age, or a time to the second; null when there is none that can be read. */
function timeText(text: string | null, now: Date | null): string | null {
  const time = text === null ? Number.NaN : Date.parse(text);
  if (Number.isNaN(time)) return null;
  return now === null ? `${new Date(time).toISOString().slice(0, 19)}Z` : formatDuration(now.getTime() - time);
}

/** Everybody who was last seen in the way of these tenants, each once. */
export function distinctBlockers(outcomes: readonly Outcome[]): readonly Blocker[] {
  const found = new Map<string, Blocker>();
  for (const { tenant, blockedBy = [] } of outcomes) {
    // A pid says something on its own server only.
    for (const blocker of blockedBy) found.set(`${blocker.pid} ${tenant.server}`, blocker);
  }
  return [...found.values()];
}

const shownBlockers = 3;

/** Lines of a report that say who kept these tenants waiting; empty when nobody did. */
export function blockedByLines(outcomes: readonly Outcome[]): readonly string[] {
  const blockers = distinctBlockers(outcomes);
  const more = blockers.length - shownBlockers;
  return [
    ...blockers.slice(0, shownBlockers).map((blocker) => `blocked by: ${describeBlocker(blocker, null)}`),
    ...(more > 0 ? [`blocked by: ${more} more`] : []),
  ];
}

/** `3 tenants had to wait for locks: acme (pid 4711 psql), …`, of those that are done all the same; null: nobody had. */
export function waitedLine(outcomes: readonly Outcome[], verbose: boolean): string | null {
  const waited = outcomes.filter(({ status, blockedBy = [] }) => status === 'done' && blockedBy.length > 0);
  if (waited.length === 0) return null;
  const names = waited.map(({ tenant, blockedBy = [] }) => {
    return `${safeText(tenant.id)} (${listNames(blockedBy.map(nameBlocker), 1)})`;
  });
  const list = verbose ? names.join(', ') : listNames(names);
  return `${plural(waited.length, 'tenant')} had to wait for locks: ${list}`;
}

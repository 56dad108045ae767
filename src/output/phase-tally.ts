import type { Outcome } from '../fleet/outcome.ts';
import type { Tenant } from '../fleet/tenant.ts';
import { formatDuration, formatRate } from './text.ts';

export interface Counts {
  readonly total: number;
  readonly done: number;
  readonly failed: number;
  readonly interrupted: number;
  readonly skipped: number;
  readonly running: number;
  readonly waiting: number;
}

interface ServerState {
  total: number;
  done: number;
  failed: number;
  interrupted: number;
  skipped: number;
  /** Ids begun and not settled; a tenant whose batch is tried again is begun once. */
  readonly running: Set<string>;
}

/** Counts one phase of a run, per server and in all. */
export class PhaseTally {
  readonly name: string;
  readonly #startedAtMs: number;
  readonly #servers = new Map<string, ServerState>();

  constructor(name: string, servers: ReadonlyMap<string, number>, nowMs: number) {
    this.name = name;
    this.#startedAtMs = nowMs;
    for (const [server, total] of servers) this.#servers.set(server, emptyState(total));
  }

  get servers(): readonly string[] {
    return [...this.#servers.keys()];
  }

  started(tenant: Tenant): void {
    this.#of(tenant).running.add(tenant.id);
  }

  putBack(tenant: Tenant): void {
    this.#of(tenant).running.delete(tenant.id);
  }

  settled(outcome: Outcome): void {
    const state = this.#of(outcome.tenant);
    state.running.delete(outcome.tenant.id);
    state[outcome.status] += 1;
  }

  /** Of one server, of several together, or of all. */
  counts(servers: readonly string[] = this.servers): Counts {
    const sum = { total: 0, done: 0, failed: 0, interrupted: 0, skipped: 0, running: 0 };
    for (const server of servers) {
      const state = this.#servers.get(server);
      if (state === undefined) continue;
      for (const key of ['total', 'done', 'failed', 'interrupted', 'skipped'] as const) sum[key] += state[key];
      sum.running += state.running.size;
    }
    const waiting = sum.total - sum.done - sum.failed - sum.interrupted - sum.skipped - sum.running;
    return { ...sum, waiting: Math.max(0, waiting) };
  }

  /** `25/s, 12 s left`; empty while there is too little to tell from. */
  pace(counts: Counts, nowMs: number): string {
    const worked = counts.done + counts.failed;
    const elapsedMs = nowMs - this.#startedAtMs;
    if (worked < 2 || elapsedMs < 1000) return '';
    const perSecond = (worked * 1000) / elapsedMs;
    const left = counts.waiting + counts.running;
    const timeLeft = left > 0 ? `, ${formatDuration(Math.max(1000, (left / perSecond) * 1000))} left` : '';
    return `${formatRate(perSecond)}${timeLeft}`;
  }

  #of(tenant: Tenant): ServerState {
    const known = this.#servers.get(tenant.server);
    if (known !== undefined) return known;
    const state = emptyState(0);
    this.#servers.set(tenant.server, state);
    return state;
  }
}

function emptyState(total: number): ServerState {
  return { total, done: 0, failed: 0, interrupted: 0, skipped: 0, running: new Set() };
}

/** `12 done, 1 failed, 4 running, 33 waiting`; only `done` is said when it is zero. */
export function countsText(counts: Counts): string {
  const words = [`${counts.done} done`];
  if (counts.failed > 0) words.push(`${counts.failed} failed`);
  if (counts.interrupted > 0) words.push(`${counts.interrupted} interrupted`);
  if (counts.skipped > 0) words.push(`${counts.skipped} skipped`);
  if (counts.running > 0) words.push(`${counts.running} running`);
  if (counts.waiting > 0) words.push(`${counts.waiting} waiting`);
  return words.join(', ');
}

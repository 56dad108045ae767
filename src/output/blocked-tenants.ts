import type { RunEvent } from '../fleet/events.ts';
import type { Blocker } from '../fleet/outcome.ts';
import { describeBlocker } from './blockers.ts';
import { safeText } from './safe-text.ts';

/** More would push the servers off a small screen. */
const shownTenants = 3;

/** Which tenants wait for locks at this moment, those that wait longest first. */
export class BlockedTenants {
  readonly #blockers = new Map<string, readonly Blocker[]>();

  get count(): number {
    return this.#blockers.size;
  }

  onEvent(event: RunEvent): void {
    if (event.type === 'phase' || event.type === 'phase-ended') this.#blockers.clear();
    else if (event.type === 'settled') this.#blockers.delete(event.outcome.tenant.id);
    else if (event.type !== 'blocked') return;
    else if (event.blockers.length === 0) this.#blockers.delete(event.tenant.id);
    else this.#blockers.set(event.tenant.id, event.blockers);
  }

  /** `acme waits for pid 4711 (psql, …)`: three of them, and how many more there are. */
  lines(now: Date): readonly string[] {
    const all = [...this.#blockers];
    const more = all.length - shownTenants;
    return [
      ...all.slice(0, shownTenants).map(([id, blockers]) => waitsText(id, blockers, now)),
      ...(more > 0 ? [`… and ${more} more`] : []),
    ];
  }
}

/** Safe to print. */
export function waitsText(id: string, blockers: readonly Blocker[], now: Date): string {
  const [first] = blockers;
  if (first === undefined) return `${safeText(id)} waits`;
  const others = blockers.length > 1 ? ` and ${blockers.length - 1} more` : '';
  return `${safeText(id)} waits for ${describeBlocker(first, now)}${others}`;
}

import type { RunEvent } from '../fleet/events.ts';
import { waitsText } from './blocked-tenants.ts';
import type { Style } from './style.ts';

/** In a log each stays for ever: a busy table must not bury the failures. */
const linesPerRun = 10;

/** The lines of a log that say which tenant begins to wait for whom. */
export class BlockedLines {
  readonly #style: Style;
  readonly #told = new Set<string>();
  #count = 0;

  constructor(style: Style) {
    this.#style = style;
  }

  /** Null when there is nothing new: a tenant's blocker is told once. */
  of(event: RunEvent, now: Date): string | null {
    if (event.type !== 'blocked') return null;
    const { tenant } = event;
    const fresh = event.blockers.filter(({ pid }) => !this.#told.has(`${pid} ${tenant.id}`));
    if (fresh.length === 0) return null;
    for (const { pid } of fresh) this.#told.add(`${pid} ${tenant.id}`);
    this.#count += 1;
    if (this.#count > linesPerRun + 1) return null;
    const mark = this.#style.yellow('blocked');
    if (this.#count > linesPerRun) return `${mark} more tenants: from here on they are only counted`;
    return `${mark} ${waitsText(tenant.id, fresh, now)}`;
  }
}

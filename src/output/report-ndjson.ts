import { createHash } from 'node:crypto';
import type { RunEvent } from '../fleet/events.ts';
import type { Outcome } from '../fleet/outcome.ts';
import { blockerJson, jsonSchema, outcomeJson, summaryJson } from './outcome-json.ts';
import { type CommandView, markFinding, type ReportMeta, type Result } from './result.ts';
import { safeJson } from './safe-text.ts';

/**
 * The facts of the json report as events, one a line, as they happen. A command that reads before it writes settles a
 * tenant in both phases: the last outcome line of a tenant is the one that holds, and each outcome of the result has one.
 */
export class NdjsonReport {
  readonly #view: CommandView;
  readonly #now: () => Date;
  /** Of each tenant's last outcome line, so that the end repeats none. */
  readonly #written = new Map<string, string>();
  /** Of each tenant that waits, the processes it waits for. */
  readonly #blocked = new Map<string, string>();
  #isBegun = false;

  constructor(view: CommandView, now: () => Date) {
    this.#view = view;
    this.#now = now;
  }

  /** The lines for one event; empty for events that the format does not show. */
  event(event: RunEvent): string {
    switch (event.type) {
      case 'phase':
        return this.#line({
          type: 'phase',
          at: this.#at(),
          name: event.name,
          servers: Object.fromEntries(event.servers),
        });
      case 'phase-ended':
        return this.#line({ type: 'phase-ended', at: this.#at(), name: event.name });
      case 'notice':
        return this.#line({
          type: 'notice',
          at: this.#at(),
          level: event.level,
          message: event.message,
          hint: event.hint,
        });
      case 'settled':
        this.#blocked.delete(event.outcome.tenant.id);
        return this.#outcomeLine(markFinding(event.outcome, this.#view));
      case 'blocked':
        return this.#blockedLine(event);
      case 'started':
      case 'step':
      case 'put-back':
      case 'read':
        return '';
    }
  }

  /** What the events left out, and the summary. */
  *end(result: Result, meta: ReportMeta): Generator<string> {
    for (const outcome of result.outcomes) yield this.#outcomeLine(outcome);
    yield this.#line({ type: 'summary', ...summaryJson(result, meta) });
  }

  /** Who is in the way is looked up again and again while a tenant waits: a line when it is somebody else. */
  #blockedLine({ tenant, blockers }: Extract<RunEvent, { type: 'blocked' }>): string {
    const pids = blockers.map(({ pid }) => pid).join(' ');
    if ((this.#blocked.get(tenant.id) ?? '') === pids) return '';
    this.#blocked.set(tenant.id, pids);
    const blockedBy = blockers.map(blockerJson);
    return this.#line({ type: 'blocked', at: this.#at(), tenant: tenant.id, blockedBy });
  }

  #outcomeLine(outcome: Outcome): string {
    const body = safeJson({ type: 'outcome', ...outcomeJson(outcome) });
    const digest = createHash('sha1').update(body).digest('base64');
    if (this.#written.get(outcome.tenant.id) === digest) return '';
    this.#written.set(outcome.tenant.id, digest);
    return `${this.#versionLine()}${body}\n`;
  }

  #line(value: Readonly<Record<string, unknown>>): string {
    return `${this.#versionLine()}${safeJson(value)}\n`;
  }

  /** First of all lines, but not before there is another: a command refused at its start prints nothing. */
  #versionLine(): string {
    if (this.#isBegun) return '';
    this.#isBegun = true;
    return `${safeJson({ type: 'version', schema: jsonSchema })}\n`;
  }

  #at(): string {
    return this.#now().toISOString();
  }
}

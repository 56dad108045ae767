import { causeKey } from '../fleet/cause.ts';
import type { RunEvent } from '../fleet/events.ts';
import type { Outcome } from '../fleet/outcome.ts';
import { describeFailure } from './failure-groups.ts';
import { safeText } from './safe-text.ts';
import type { Style } from './style.ts';
import { cutText, formatDuration } from './text.ts';

/** A line that stays on stderr; the mark is its painted beginning. */
interface EventLine {
  readonly mark: string;
  readonly paint: (text: string) => string;
  readonly text: string;
}

/** Lines for failures of one cause; a fleet that fails as a whole must not bury the log that tells why. */
const linesPerCause = 10;

/** The lines that events leave behind: each failure and notice as it comes, with --verbose each settled tenant. */
export class EventLines {
  readonly #style: Style;
  readonly #verbose: boolean;
  readonly #causes = new Map<string, number>();

  constructor(style: Style, verbose: boolean) {
    this.#style = style;
    this.#verbose = verbose;
  }

  /** No line is longer than `width`; null when nothing is to be cut. */
  of(event: RunEvent, width: number | null): readonly string[] {
    return this.#describe(event).map(({ mark, paint, text }) => {
      const line = width === null ? mark + text : cutText(mark + text, width);
      return paint(line.slice(0, mark.length)) + line.slice(mark.length);
    });
  }

  #describe(event: RunEvent): readonly EventLine[] {
    if (event.type === 'notice') return describeNotice(event, this.#style);
    if (event.type !== 'settled') return [];
    const lines = describeOutcome(event.outcome, this.#style, this.#verbose);
    return event.outcome.status === 'failed' && !this.#verbose ? this.#limit(event.outcome, lines) : lines;
  }

  #limit(outcome: Extract<Outcome, { status: 'failed' }>, lines: readonly EventLine[]): readonly EventLine[] {
    const cause = causeKey(outcome.error, outcome.tenant);
    const count = (this.#causes.get(cause) ?? 0) + 1;
    this.#causes.set(cause, count);
    if (count <= linesPerCause) return lines;
    if (count > linesPerCause + 1) return [];
    return [{ mark: 'failed', paint: this.#style.red, text: ' more tenants for this cause: the report counts them' }];
  }
}

function describeNotice(event: Extract<RunEvent, { type: 'notice' }>, style: Style): readonly EventLine[] {
  const { level, message, hint } = event;
  const line = level === 'warning' ? { mark: 'warning:', paint: style.yellow } : { mark: 'note:', paint: style.bold };
  const hintLine = { mark: '  hint:', paint: style.bold };
  return [
    { ...line, text: ` ${safeText(message)}` },
    ...(hint === undefined ? [] : [{ ...hintLine, text: ` ${safeText(hint)}` }]),
  ];
}

function describeOutcome(outcome: Outcome, style: Style, verbose: boolean): readonly EventLine[] {
  const id = safeText(outcome.tenant.id);
  switch (outcome.status) {
    case 'failed': {
      const text = ` ${id}${stepText(outcome.step)}: ${describeFailure(outcome.error)}`;
      return [{ mark: 'failed', paint: style.red, text }];
    }
    case 'interrupted':
      return [{ mark: 'interrupted', paint: style.red, text: ` ${id}${stepText(outcome.step)}` }];
    case 'done':
      if (!verbose) return [];
      return [{ mark: 'done', paint: style.green, text: ` ${id} in ${formatDuration(outcome.durationMs)}` }];
    case 'skipped':
      return verbose ? [{ mark: outcome.reason, paint: style.yellow, text: ` ${id}` }] : [];
  }
}

function stepText(step: string | null): string {
  return step === null ? '' : ` (${safeText(step)})`;
}

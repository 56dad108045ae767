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

export interface EventLineOptions {
  readonly style: Style;
  readonly verbose: boolean;
  /** No line is longer; null when nothing is to be cut. */
  readonly width: number | null;
}

/** The lines an event leaves behind: each failure and notice as it comes, with --verbose each settled tenant. */
export function eventLines(event: RunEvent, { style, verbose, width }: EventLineOptions): readonly string[] {
  return describeEvent(event, style, verbose).map(({ mark, paint, text }) => {
    const line = width === null ? mark + text : cutText(mark + text, width);
    return paint(line.slice(0, mark.length)) + line.slice(mark.length);
  });
}

function describeEvent(event: RunEvent, style: Style, verbose: boolean): readonly EventLine[] {
  if (event.type === 'settled') return describeOutcome(event.outcome, style, verbose);
  if (event.type !== 'notice') return [];
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

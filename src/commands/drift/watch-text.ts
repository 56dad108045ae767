import type { KnownDifference } from '../../drift/watch-state.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import { listNames, plural } from '../../words.ts';
import type { WatchValue } from './drift-watch.ts';

export interface WatchSummary {
  readonly environment: string;
  readonly against: string;
  /** Nothing was known before: all drift is new. */
  readonly isFirst: boolean;
  readonly notes: readonly string[];
  readonly outcomes: readonly Outcome<WatchValue>[];
  readonly totals: Readonly<Record<'read' | 'unchanged' | 'new' | 'ended' | 'standing', number>>;
}

/** Kinds of change that a screen has room for; the rest is counted. */
const shownLines = 40;

/** What is new, what is over, and how much there is. */
export function describeWatch({
  environment,
  against,
  isFirst,
  notes,
  outcomes,
  totals,
}: WatchSummary): readonly string[] {
  const fresh = linesOf(outcomes, (value) => value.new);
  const ended = linesOf(outcomes, ({ ended: over }) => over);
  const older = totals.standing - totals.new;
  return [
    `environment ${environment}: ${plural(totals.read + totals.unchanged, 'tenant')}, ${totals.read} read, ${totals.unchanged} unchanged, against ${against}`,
    ...notes,
    ...(isFirst ? ['the first look: all drift is new'] : []),
    ...section('new drift', fresh),
    ...section('ended', ended),
    ...(older > 0 ? [`${plural(older, 'difference')} known before`] : []),
    ...(totals.standing === 0 ? describeNone(outcomes) : []),
  ];
}

/** Only of those who were compared can it be said. */
function describeNone(outcomes: readonly Outcome<WatchValue>[]): readonly string[] {
  const compared = outcomes.filter((outcome) => outcome.status === 'done' && outcome.value.why === null).length;
  if (compared === outcomes.length) return ['no drift'];
  return compared === 0 ? [] : [`no drift in the ${plural(compared, 'tenant')} that could be compared`];
}

function section(title: string, lines: readonly string[]): readonly string[] {
  if (lines.length === 0) return [];
  const more = lines.length - shownLines;
  return [
    `${title}:`,
    ...lines.slice(0, shownLines),
    ...(more > 0 ? [`  … and ${more} more, all of them in --json`] : []),
  ];
}

/** A line for each difference, with all whom it is true of. */
function linesOf(
  outcomes: readonly Outcome<WatchValue>[],
  of: (value: WatchValue) => readonly KnownDifference[],
): readonly string[] {
  const tenants = new Map<string, string[]>();
  for (const outcome of outcomes) {
    if (outcome.status !== 'done') continue;
    for (const { text, classes } of of(outcome.value)) {
      const line = `${text} (${classes.join(', ')})`;
      tenants.set(line, [...(tenants.get(line) ?? []), outcome.tenant.id]);
    }
  }
  return [...tenants].map(([line, ids]) => `  ${listNames(ids)}: ${line}`);
}

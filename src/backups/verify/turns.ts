import type { Backup, VerificationLevel } from '../repository/backup.ts';

/** When somebody's backups were last looked at. */
export interface Turn<T> {
  readonly subject: T;
  /** Milliseconds since 1970 of the last look at the level; null: never. */
  readonly lastAt: number | null;
  /** From when on there was something to look at. */
  readonly since: number;
  /** The last look found it bad: it is looked at until it is good. */
  readonly isBad: boolean;
}

/**
 * The cycle is planned so much shorter than it was promised that it holds although nobody knows when the next run
 * comes: with runs at least every fifth of it, none waits longer.
 */
const plannedShare = 0.8;

/**
 * Those whose turn is now, in the order in which they are to be looked at: never looked at first, then the longest ago.
 * As few as the promise allows: after them, the rest can be done at an even rate, `n` in a planned cycle, and each is
 * done before its planned cycle ends. So each run has about the same work, without anything being remembered but when
 * each was last looked at.
 */
export function chooseDue<T>(turns: readonly Turn<T>[], cycleMs: number, now: number): readonly Turn<T>[] {
  const planned = cycleMs * plannedShare;
  const step = planned / Math.max(1, turns.length);
  const ordered = turns.toSorted(byTurn);
  // From the last one back: how many must be taken so that those after them are in time?
  let due = 0;
  for (const [index, turn] of ordered.entries()) {
    const places = Math.max(0, Math.floor((planned - (now - sinceOf(turn))) / step));
    // It would be number `index - due + 1` of those that stay.
    due = Math.max(due, index + 1 - places);
  }
  const chosen = ordered.slice(0, due);
  const bad = ordered.slice(due).filter(({ isBad }) => isBad);
  return [...chosen, ...bad];
}

/** Who has waited longer than the cycle allows. */
export function isOverdue<T>(turn: Turn<T>, cycleMs: number, now: number): boolean {
  return now - sinceOf(turn) > cycleMs;
}

function sinceOf<T>({ lastAt, since }: Turn<T>): number {
  return lastAt ?? since;
}

function byTurn<T>(a: Turn<T>, b: Turn<T>): number {
  if ((a.lastAt === null) !== (b.lastAt === null)) return a.lastAt === null ? -1 : 1;
  return sinceOf(a) - sinceOf(b);
}

const levels: readonly VerificationLevel[] = ['manifest', 'content', 'restore'];

/** The turn of those backups' owner, at a level or a higher one. A look that could not be taken is none. */
export function readTurn<T>(subject: T, backups: readonly Backup[], level: VerificationLevel): Turn<T> {
  const results = backups
    .flatMap(({ verification }) => verification?.results ?? [])
    .filter((result) => result.verdict !== 'could-not-run' && levels.indexOf(result.level) >= levels.indexOf(level))
    .toSorted((a, b) => Date.parse(b.at) - Date.parse(a.at));
  const [last] = results;
  return {
    subject,
    lastAt: last === undefined ? null : Date.parse(last.at),
    since: Math.min(...backups.map(({ takenAt }) => takenAt.getTime())),
    isBad: last?.verdict === 'bad',
  };
}

import type { KeepRules } from '../../fleet/inventory/backups.ts';
import type { Backup } from '../repository/backup.ts';
import { keepReasons } from './keep-rules.ts';
import { isFoundBad, passedResult } from './verdict.ts';

/** What becomes of one entry of the store, and why. */
export interface Judged {
  readonly backup: Backup;
  readonly isKept: boolean;
  /** Why it is kept, or the one reason why it goes. */
  readonly reasons: readonly string[];
}

export interface JudgeOptions {
  readonly rules: KeepRules;
  readonly now: Date;
  /** A dump is at work: what has no manifest may be getting one. */
  readonly isWriting: boolean;
  /** What holds a backup whatever the rules say. */
  readonly holdsOf: (backup: Backup) => readonly string[];
}

/** A dump that still writes is younger than this; so long what is not complete is left alone. */
export const unfinishedAgeMs = 24 * 3_600_000;

/** Judges all that the store has of one subject, in its order. */
export function judgeSeries(backups: readonly Backup[], options: JudgeOptions): readonly Judged[] {
  const complete = backups.filter(({ state }) => state === 'complete');
  const reasons = keepReasons(
    complete.map((backup) => ({
      takenAt: backup.takenAt,
      pinned: pinOf(backup, options.now),
      isBad: isFoundBad(backup.verification),
      verified: provenLevel(backup),
      holds: [...receiptReason(backup), ...options.holdsOf(backup)],
    })),
    options.rules,
    options.now,
  );
  const ofRules = new Map(complete.map((backup, index) => [backup, reasons[index] ?? []]));
  const kept = complete.filter((backup) => ofRules.get(backup)?.length && !isFoundBad(backup.verification));
  const oldestKept = Math.min(...kept.map(({ takenAt }) => takenAt.getTime()));
  return backups.map((backup) => {
    if (isUnfinished(backup)) return judgeUnfinished(backup, options);
    const own = ofRules.get(backup) ?? [...keptWhatever(backup, options.now), ...options.holdsOf(backup)];
    if (own.length > 0) return { backup, isKept: true, reasons: own };
    if (backup.state === 'complete' && !isFoundBad(backup.verification)) {
      return { backup, isKept: false, reasons: ['no rule keeps it'] };
    }
    return judgeDamaged(backup, oldestKept);
  });
}

/** No manifest: a dump that goes on or came to nothing, or what a removal that was cut short left. */
export function isUnfinished({ keys }: Backup): boolean {
  return keys.manifest === null;
}

/** An archive without a manifest: nobody can say what it is, and no command offers it. */
export function judgeUnfinished(backup: Backup, { now, isWriting, holdsOf }: JudgeOptions): Judged {
  const holds = [...keptWhatever(backup, now), ...holdsOf(backup)];
  if (holds.length > 0) return { backup, isKept: true, reasons: holds };
  if (now.getTime() - backup.takenAt.getTime() < unfinishedAgeMs) {
    return { backup, isKept: true, reasons: ['no manifest, younger than 24 h'] };
  }
  if (isWriting) return { backup, isKept: true, reasons: ['no manifest, and a dump is at work'] };
  return { backup, isKept: false, reasons: ['no manifest: a dump that did not come to its end'] };
}

/**
 * What is damaged, or what verification found bad, may still be of use, and a wrong check makes all of them bad: it
 * goes only when the rules keep none as old as it is.
 */
function judgeDamaged(backup: Backup, oldestKept: number): Judged {
  const what = backup.state === 'complete' ? 'found bad by verify' : `damaged (${backup.state})`;
  const isOlder = Number.isFinite(oldestKept) && backup.takenAt.getTime() < oldestKept;
  return isOlder
    ? { backup, isKept: false, reasons: [`${what}, older than all that are kept`] }
    : { backup, isKept: true, reasons: [`${what}, no good one as old is kept`] };
}

/** Why it is kept whatever the rules say, and whoever left: somebody wants it, or somebody sleeps on it. */
export function keptWhatever(backup: Backup, now: Date): readonly string[] {
  return [...pinReason(backup, now), ...receiptReason(backup)];
}

function receiptReason({ receipt }: Backup): readonly string[] {
  return receipt?.living === true ? ['named by the receipt of a sleeping tenant'] : [];
}

/** Why it is pinned now; a pin that has run out counts for nothing. */
function pinReason({ pin }: Backup, now: Date): readonly string[] {
  if (pin === null || (pin.until !== null && Date.parse(pin.until) <= now.getTime())) return [];
  return [`pinned: ${pin.reason}`];
}

function pinOf({ pin, ...backup }: Backup, now: Date): string | null {
  return pin !== null && pinReason({ ...backup, pin }, now).length > 0 ? pin.reason : null;
}

function provenLevel({ verification }: Backup): 'restore' | 'content' | null {
  if (passedResult(verification, 'restore') !== null) return 'restore';
  return passedResult(verification, 'content') === null ? null : 'content';
}

import type { VerificationLevel, VerificationRecord, VerificationResult } from '../repository/backup.ts';

const depths: Readonly<Record<VerificationLevel, number>> = { manifest: 0, content: 1, restore: 2 };

/**
 * Did verification find this backup to be no good? A level that is as deep or deeper and passed later has the last
 * word; one that could not run says nothing.
 */
export function isFoundBad(record: VerificationRecord | null): boolean {
  const results = record?.results ?? [];
  return results.some(
    (bad) =>
      bad.verdict === 'bad' &&
      !results.some(
        (later) =>
          later.verdict === 'passed' && depths[later.level] >= depths[bad.level] && timeOf(later) > timeOf(bad),
      ),
  );
}

/** The newest passed result of that level; null also for a backup that is bad. */
export function passedResult(record: VerificationRecord | null, level: VerificationLevel): VerificationResult | null {
  if (record === null || isFoundBad(record)) return null;
  const passed = record.results.filter((result) => result.level === level && result.verdict === 'passed');
  return passed.toSorted((a, b) => timeOf(b) - timeOf(a))[0] ?? null;
}

function timeOf({ at }: VerificationResult): number {
  return Date.parse(at);
}

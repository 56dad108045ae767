import type { Backup, VerificationLevel, VerificationRecord } from '../../backups/repository/backup.ts';
import type { Repository } from '../../backups/repository/repository.ts';

/** Where the backups are and whose they are, for scripts; null: nothing was dumped there yet. */
export function storeFacts({ name, environment }: Repository): Readonly<Record<string, unknown>> {
  return { store: name, storeEnvironment: environment };
}

const levels: readonly VerificationLevel[] = ['restore', 'content', 'manifest'];

/** The highest level that it passed, or that it is bad: `restore`, `bad (content)`, `never`. */
export function verifiedWord(record: VerificationRecord | null): string {
  const results = record?.results ?? [];
  const bad = results.find(({ verdict }) => verdict === 'bad');
  if (bad !== undefined) return `bad (${bad.level})`;
  const passed = levels.find((level) =>
    results.some((result) => result.level === level && result.verdict === 'passed'),
  );
  if (passed !== undefined) return passed;
  return results.length > 0 ? 'could not run' : 'never';
}

/** Is it kept from expiring now? */
export function isPinned({ pin }: Backup, now: Date): boolean {
  return pin !== null && (pin.until === null || Date.parse(pin.until) > now.getTime());
}

/** Is it what a tenant that sleeps will be woken from? */
function isSleptOn({ receipt }: Backup): boolean {
  return receipt?.living === true;
}

/** `ok`, `ok, pinned`, `no backup: …`. */
export function stateWord(backup: Backup, now: Date): string {
  const pinned = [isPinned(backup, now) ? ', pinned' : '', isSleptOn(backup) ? ', of a sleeping tenant' : ''].join('');
  return backup.state === 'complete' ? `ok${pinned}` : `not a backup: ${backup.problem}${pinned}`;
}

/** All that is known of it, for scripts. */
export function backupJson(backup: Backup, now: Date): Readonly<Record<string, unknown>> {
  const { subject, time, takenAt, sizeBytes, state, problem, keys, manifest, verification, pin, receipt } = backup;
  return {
    ...subject,
    time,
    takenAt: takenAt.toISOString(),
    ageMs: Math.max(0, now.getTime() - takenAt.getTime()),
    sizeBytes,
    state,
    problem,
    verified: verifiedWord(verification),
    pinned: isPinned(backup, now),
    keys,
    manifest,
    verification,
    pin,
    receipt,
  };
}

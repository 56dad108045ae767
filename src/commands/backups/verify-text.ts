import type { VerificationLevel } from '../../backups/repository/backup.ts';
import { formatDuration } from '../../fleet/duration.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { CommandView } from '../../output/result.ts';
import { formatBytes, listNames, plural } from '../../words.ts';
import type { PlannedTenant } from './verify-plan.ts';
import type { Verified } from './verify-run.ts';

/** How far a promise of turns is kept; part of the json document. */
export interface Cycle {
  readonly withinMs: number;
  /** Selected, and with a backup. */
  readonly tenants: number;
  /** Whose turn was in this run. */
  readonly due: number;
  readonly verified: number;
  /** Whose turn it was, left for the next run; the promise allows it. */
  readonly postponed: readonly string[];
  /** Whom the promise was broken to. */
  readonly overdue: readonly string[];
}

export const verifyView: CommandView<Verified> = {
  columns: ['tenant', 'backup', 'level', 'verdict', 'took', 'tables', 'rows', 'note'],
  row: (outcome, { verbose }) => {
    if (outcome.status !== 'done') return null;
    const { backup, level, verdict, durationMs, tables, rows, problems, remarks, all } = outcome.value;
    if (verdict === 'passed' && !verbose) return null;
    const note = [...(all === undefined ? [] : [`${all.length} looked at`]), ...problems, ...remarks];
    const cells = [outcome.tenant.id, backup, level, verdict, formatDuration(durationMs), String(tables), String(rows)];
    return [...cells, shorten(note)];
  },
  isFinding: (outcome) => outcome.status === 'done' && outcome.value.verdict === 'bad',
};

export const whyUnfinished = 'being written, left by a dump that was ended, or its manifest was removed';

/** They are no fault yet, and must not be silent: what was removed would be missed by nobody for a day. */
export function describeUnfinished(planned: readonly PlannedTenant[], allBackups: boolean): readonly string[] {
  const some = planned.filter(({ unfinished }) => unfinished > 0);
  if (some.length === 0) return [];
  const count = some.reduce((sum, { unfinished }) => sum + unfinished, 0);
  const names = listNames(some.map(({ tenant }) => tenant.id));
  return [`${plural(count, allBackups ? 'archive' : 'newer archive')} without a manifest (${names}): ${whyUnfinished}`];
}

/** A broken archive can have fifty complaints; all are in the json document. */
function shorten(notes: readonly string[]): string {
  const shown = notes.slice(0, 3).join('; ');
  return notes.length <= 3 ? shown : `${shown}; and ${notes.length - 3} more`;
}

/** `48 passed, 1 bad, 1 could not be verified; level content, 1.2 GB at 80 MB/s`. */
export function describeVerified(outcomes: readonly Outcome<Verified>[], level: VerificationLevel): readonly string[] {
  if (outcomes.length === 0) return [];
  const values = outcomes.flatMap((outcome) =>
    outcome.status === 'done' ? (outcome.value.all ?? [outcome.value]) : [],
  );
  const bad = values.filter(({ verdict }) => verdict === 'bad').length;
  const passed = values.filter(({ verdict }) => verdict === 'passed').length;
  const unknown = outcomes.filter(({ status }) => status === 'failed' || status === 'interrupted').length;
  const notBegun = outcomes.filter(({ status }) => status === 'skipped').length;
  const durationMs = values.reduce((sum, value) => sum + value.durationMs, 0);
  const bytes = values.reduce((sum, value) => sum + ((value.bytesPerSecond ?? 0) * value.durationMs) / 1000, 0);
  const rate = durationMs === 0 ? '' : `, ${formatBytes(bytes)} at ${formatBytes((bytes / durationMs) * 1000)}/s each`;
  const counts = [
    `${passed} passed`,
    ...(bad === 0 ? [] : [`${bad} bad`]),
    ...(unknown === 0 ? [] : [`${unknown} could not be verified`]),
    ...(notBegun === 0 ? [] : [`${notBegun} not begun`]),
  ];
  return [`${counts.join(', ')}; level ${level}${rate}`];
}

export function describeCycle(cycle: Cycle): readonly string[] {
  const { withinMs, tenants, due, postponed, overdue } = cycle;
  const turns = `${due} of ${plural(tenants, 'tenant')} had their turn in this run of a cycle of ${formatDuration(withinMs)}`;
  return [
    postponed.length === 0 ? turns : `${turns}; ${postponed.length} wait for the next run, in time`,
    ...(overdue.length === 0
      ? []
      : [`${overdue.length} overdue: ${listNames(overdue)} not verified within ${formatDuration(withinMs)}`]),
  ];
}

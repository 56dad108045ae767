import type { ExpirePlan, Series } from '../../backups/retention/expire-plan.ts';
import type { Judged } from '../../backups/retention/judge-series.ts';
import type { KeepRules } from '../../fleet/inventory/backups.ts';
import { printable } from '../../fleet/inventory/names.ts';
import { formatBytes, plural } from '../../words.ts';
import { alignRows } from '../align-rows.ts';
import { describeRules } from './keep-flags.ts';

/** What became, or would become, of one series of backups. */
export interface Expired {
  readonly kept: number;
  readonly keptBytes: number;
  readonly removed: number;
  readonly freedBytes: number;
  /** With --explain. */
  readonly files?: readonly ExplainedFile[];
}

interface ExplainedFile {
  readonly time: string;
  readonly sizeBytes: number;
  readonly keep: boolean;
  readonly reasons: readonly string[];
}

export interface ExpireTextOptions {
  readonly environment: string;
  readonly rules: KeepRules;
  readonly explain: boolean;
  readonly verbose: boolean;
  /** False: the report has a row for each tenant. */
  readonly listsTenants: boolean;
}

/** So many lines a person reads before the question; --verbose and --explain show all. */
const shownSeries = 20;

export function countExpired(judged: readonly Judged[], explain = false): Expired {
  const [kept, going] = [judged.filter(({ isKept }) => isKept), judged.filter(({ isKept }) => !isKept)];
  const counted = {
    kept: kept.length,
    keptBytes: bytesOf(kept),
    removed: going.length,
    freedBytes: bytesOf(going),
  };
  return explain ? { ...counted, files: judged.map(explainFile) } : counted;
}

/** All series of a plan, those of tenants first. */
export function allSeries(plan: ExpirePlan): readonly Series[] {
  return [...[...plan.tenants].map(([name, judged]) => ({ name, judged })), ...otherSeries(plan)];
}

function otherSeries(plan: ExpirePlan): readonly Series[] {
  return [...plan.departed.map(nameDeparted), ...plan.shared];
}

function nameDeparted({ name, judged }: Series): Series {
  return { name: `${name} (departed)`, judged };
}

/** The plan for people: the rules, the sums, what goes of whom. */
export function describeExpiry(plan: ExpirePlan, options: ExpireTextOptions): readonly string[] {
  const series = allSeries(plan);
  const total = countExpired(series.flatMap(({ judged }) => judged));
  return [
    `environment ${options.environment}: keep ${describeRules(options.rules)}`,
    `${plural(total.kept, 'backup')} (${formatBytes(total.keptBytes)}) kept, ${goingText(total)} to be removed`,
    ...(options.explain
      ? series.flatMap(explainSeries)
      : listSeries(options.listsTenants ? series : otherSeries(plan), options.verbose)),
    ...departedLines(plan),
  ].map(printable);
}

function goingText({ removed, freedBytes }: Expired): string {
  return removed === 0 ? 'none' : `${removed} (${formatBytes(freedBytes)})`;
}

function listSeries(series: readonly Series[], verbose: boolean): readonly string[] {
  const touched = series.filter(({ judged }) => judged.some(({ isKept }) => !isKept));
  const shown = verbose ? touched : touched.slice(0, shownSeries);
  const rest = touched.length - shown.length;
  const rows = shown.map(({ name, judged }) => {
    const { removed, freedBytes, kept } = countExpired(judged);
    const going = judged.flatMap(({ isKept, backup }) => (isKept ? [] : [backup.time]));
    const span = going.length === 1 ? going[0]! : `${going.at(-1)} to ${going[0]}`;
    return [`  ${name}`, `${removed} of ${removed + kept}`, formatBytes(freedBytes), span];
  });
  return [...alignRows(rows), ...(rest > 0 ? [`  … and ${rest} more, listed with --verbose`] : [])];
}

function explainSeries({ name, judged }: Series): readonly string[] {
  const rows = judged.map(({ backup, isKept, reasons }) => {
    return [isKept ? '  keep' : '  remove', backup.time, formatBytes(backup.sizeBytes), reasons.join(', ')];
  });
  return [name, ...alignRows(rows)];
}

/** Somebody must know that they cost something, or that they are about to go. */
function departedLines({ departed }: ExpirePlan): readonly string[] {
  const kept = departed.filter(({ judged }) => judged.some(({ isKept }) => isKept));
  if (kept.length === 0) return [];
  const size = bytesOf(kept.flatMap(({ judged }) => judged.filter(({ isKept }) => isKept)));
  return [`kept of ${plural(kept.length, 'tenant')} that left the fleet: ${formatBytes(size)} (see --departed-after)`];
}

function explainFile({ backup, isKept, reasons }: Judged): ExplainedFile {
  return { time: backup.time, sizeBytes: backup.sizeBytes, keep: isKept, reasons };
}

function bytesOf(judged: readonly Judged[]): number {
  return judged.reduce((sum, { backup }) => sum + backup.sizeBytes, 0);
}

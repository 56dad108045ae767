import path from 'node:path';
import type { ChangePlan } from '../../migrations/change-tenant.ts';
import type { Migration } from '../../migrations/folder.ts';
import type { Lane } from '../../migrations/lanes.ts';
import { plural } from '../../words.ts';
import type { MigrationJob } from './migration-job.ts';
import { countTenants } from './migration-view.ts';
import { groupJobs, type PlanGroup } from './plan-groups.ts';
import type { PlanReview, ReviewedHazard, ReviewedMigration } from './plan-review.ts';

const namesShown = 12;

/** A plan for people: per group of tenants that stand alike, and not per tenant; with its hazards when it was reviewed. */
export function describeJobs(
  environment: string,
  job: MigrationJob,
  shared: readonly MigrationJob[],
  review: PlanReview | null = null,
): string[] {
  const lines = [`environment ${environment}: plan, nothing was changed`];
  for (const [index, group] of groupJobs({ tenants: job, shared }).entries()) {
    lines.push(headOf(group), ...describeMigrations(group, review?.[index]?.migrations ?? null));
  }
  const still = job.settled.filter(({ status }) => status === 'done').length;
  if (still > 0) lines.push(`${countTenants(still)} with nothing to do`);
  return review === null ? lines : [...lines, ...adviceOn(review)];
}

function headOf({ job, plan, tenants }: PlanGroup): string {
  const [first] = tenants;
  return job.isShared && first !== undefined
    ? `shared schema ${first.schema} in ${first.server}/${first.database}, first of all:`
    : `${countTenants(tenants.length)} from ${plan.from ?? 'no history'} to ${plan.to ?? 'no history'}:`;
}

/** The first files, and of the rest those that the reader must not miss. */
function describeMigrations(
  { job, plan }: { readonly job: MigrationJob; readonly plan: ChangePlan },
  reviewed: readonly ReviewedMigration[] | null,
): string[] {
  const sign = job.direction === 'up' ? '+' : '-';
  const blocks = plan.migrations.flatMap((migration, index) => {
    const review = reviewed?.[index] ?? null;
    if (index >= namesShown && (review === null || review.hazards.length === 0)) return [];
    const hazards = review?.hazards.map((hazard) => `    ${describeHazard(hazard, migration)}`) ?? [];
    return [[`  ${sign} ${migration.displayPath}${remarksOn(migration, review)}`, ...hazards]];
  });
  const more = plan.migrations.length - blocks.length;
  return more > 0 ? [...blocks.flat(), `  ${sign} … ${more} more`] : blocks.flat();
}

/** Lanes that keep other tenants of the database waiting. */
const remarkable: readonly Lane[] = ['expression-index', 'backfill', 'build', 'shared'];

function remarksOn(migration: Migration, review: ReviewedMigration | null): string {
  const isAlone = migration.kind === 'sql' && !migration.sql.usesTransaction;
  const lanes = remarkable.filter((lane) => review?.lanes.has(lane));
  const remarks = [
    ...(isAlone ? ['no transaction'] : []),
    ...(lanes.length > 0 ? [`lane ${lanes.join(', ')}`] : []),
    ...(review?.notes ?? []),
  ];
  return remarks.length === 0 ? '' : `  (${remarks.join('; ')})`;
}

function describeHazard(found: ReviewedHazard, migration: Migration): string {
  const { hazard, subject, line, column, message, isAllowed } = found;
  const place = `${path.basename(migration.path)}:${line}:${column}`;
  return `${isAllowed ? 'allowed:' : '!'} ${hazard} ${subject} (${place}): ${message}${describeSize(found)}`;
}

function describeSize({ worst, unknownRows }: ReviewedHazard): string {
  if (worst !== null) return `; worst tenant ${worst.tenant.id}, ${formatRows(worst.rows)}`;
  return unknownRows === 0 ? '' : '; rows unknown (never analysed)';
}

/** `340 rows`, `12 k rows`, `1.2 M rows`. */
export function formatRows(rows: number): string {
  let value = rows;
  let unit = '';
  for (const next of ['k', 'M', 'G']) {
    if (value < 999.5) break;
    value /= 1000;
    unit = ` ${next}`;
  }
  if (unit === '') return plural(rows, 'row');
  return `${value >= 9.95 ? Math.round(value) : value.toFixed(1)}${unit} rows`;
}

/** A hazard and the file that it stands in, as the operator knows it. */
export interface PlacedHazard extends ReviewedHazard {
  readonly file: string;
}

/** What stands in the way, once each: in every group it may be the same file. */
export function notAllowed(review: PlanReview): readonly PlacedHazard[] {
  const found = new Map<string, PlacedHazard>();
  for (const { migration, hazards } of review.flatMap(({ migrations }) => migrations)) {
    for (const each of hazards) {
      const key = JSON.stringify([migration.path, each.line, each.column, each.hazard, each.subject]);
      if (!each.isAllowed) found.set(key, { ...each, file: migration.displayPath });
    }
  }
  return [...found.values()];
}

function adviceOn(review: PlanReview): string[] {
  const found = notAllowed(review);
  if (found.length === 0) return [];
  const ways = new Set(found.map(({ hazard, hint }) => `  ${hazard}: ${hint}`));
  const names = [...new Set(found.map(({ hazard }) => hazard))].join(',');
  return [
    `${plural(found.length, 'hazard')} (!):`,
    ...ways,
    `  let them pass: tenantctl migrate plan --allow ${names}, or a line \`-- tenantctl:allow <hazard>\` in the file`,
  ];
}

import type { ChangeResult } from '../../migrations/change-tenant.ts';
import { displayName } from '../../migrations/parse-tree.ts';
import type { Result } from '../../output/result.ts';
import { describeShared } from './migration-view.ts';
import type { PlanReview, ReviewedGroup, ReviewedHazard } from './plan-review.ts';
import { describeJobs } from './plan-text.ts';
import type { UpJobs } from './up-jobs.ts';

/** A plan's result with what the review found: in its lines, and for programs in `groups`. */
export function withReview(
  result: Result<ChangeResult>,
  { tenants, shared }: UpJobs,
  review: PlanReview,
): Result<ChangeResult> {
  const troubled = shared.flatMap(({ settled }) => settled).filter(({ status }) => status !== 'done');
  const lines = describeJobs(result.environment ?? '', tenants, shared, review);
  return {
    ...result,
    text: [...lines, ...troubled.map(describeShared)],
    extra: { ...result.extra, groups: review.map(groupJson) },
  };
}

function groupJson({ job, plan, tenants, migrations }: ReviewedGroup): Readonly<Record<string, unknown>> {
  const [first] = tenants;
  const isShared = job.isShared && first !== undefined;
  return {
    from: plan.from,
    to: plan.to,
    ...(isShared ? { shared: { server: first.server, database: first.database, schema: first.schema } } : {}),
    tenants: isShared ? 0 : tenants.length,
    migrations: migrations.map(({ migration: { name, displayPath, checksum }, lanes, notes, hazards }) => ({
      name,
      file: displayPath,
      checksum,
      lanes: [...lanes],
      notes,
      hazards: hazards.map(hazardJson),
    })),
  };
}

function hazardJson(found: ReviewedHazard): Readonly<Record<string, unknown>> {
  const { hazard, subject, message, hint, line, column, isAllowed, relation, worst, unknownRows } = found;
  return {
    hazard,
    subject,
    message,
    hint,
    line,
    column,
    allowed: isAllowed,
    table: relation === null ? null : displayName(relation),
    ...(worst === null ? {} : { rows: worst.rows, worstTenant: worst.tenant.id }),
    ...(unknownRows === 0 ? {} : { unknownRows }),
  };
}

import { RefusedError } from '../../errors.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { MigrationFolder } from '../../migrations/folder.ts';
import { limitFolder } from '../../migrations/plan.ts';
import type { Survey } from '../../migrations/survey.ts';
import { listNames, plural } from '../../words.ts';
import type { MigrationJob } from './migration-job.ts';
import { type PlanFile, type PlannedFile, type PlannedTenant, plannedTenants } from './plan-file.ts';
import type { UpJobs } from './up-jobs.ts';

const anew =
  'make the plan anew with `tenantctl migrate plan --out <file>`, and have it reviewed; ' +
  'or carry on with a run of it: `tenantctl runs resume <run>`';

/** Whom a plan is for, of those that are there now. */
export interface PlanSelection {
  /** To be migrated. */
  readonly tenants: readonly Tenant[];
  /** There now, and not known to the plan: to be named and left alone. */
  readonly bornSince: readonly string[];
  /** Known when it was made, but it did not say what to do with them: left alone as well. */
  readonly leftOut: readonly string[];
  /** In the plan, and not there (or not selected) any more. */
  readonly gone: readonly string[];
}

/** Parts the fleet by a plan. Refuses (exit 5) the plan of another environment. */
export function selectByPlan(plan: PlanFile, environment: string, fleet: readonly Tenant[]): PlanSelection {
  if (plan.environment !== environment) {
    throw new RefusedError(`the plan is for the environment ${plan.environment}, this is ${environment}`, {
      hint: 'take the inventory that it was made with (--config), or make a plan for this one',
    });
  }
  const planned = new Set(plan.tenants.map(({ id }) => id));
  const leftOut = new Set(plan.leftOut);
  const there = new Set(fleet.map(({ id }) => id));
  return {
    tenants: fleet.filter(({ id }) => planned.has(id)),
    bornSince: fleet.map(({ id }) => id).filter((id) => !planned.has(id) && !leftOut.has(id)),
    leftOut: fleet.map(({ id }) => id).filter((id) => leftOut.has(id)),
    gone: [...planned].filter((id) => !there.has(id)),
  };
}

/** The folder as the plan knows it: files that were added since were not reviewed, so nobody runs them. */
export function folderOfPlan(plan: PlanFile, folder: MigrationFolder): MigrationFolder {
  return limitFolder(folder, new Set(plan.files.map(({ name }) => name)));
}

/**
 * Refuses (exit 5) to go on when the jobs, as they are now, are not what was planned: a file that would run was changed
 * or is gone, or a tenant (or a shared schema) stands elsewhere. Who stands where the plan would have brought it is done:
 * the plan was run before. `jobs` are those of `selectByPlan`'s tenants, made with the plan's target from `folderOfPlan`.
 */
export function checkPlan(plan: PlanFile, jobs: UpJobs): void {
  const planned = [{ files: plan.files, schemas: plan.tenants }, ...plan.shared];
  const details = [
    ...changedFiles(planned[0]!, jobs.tenants.folder),
    ...elsewhere(plan.tenants, jobs.tenants, 'tenant'),
  ];
  const schemas = plan.shared.flatMap((part) => part.schemas);
  for (const job of jobs.shared) {
    const part = plan.shared.find((each) => each.schemas.some(({ id }) => isIn(job, id)));
    details.push(
      ...(part === undefined ? [] : changedFiles(part, job.folder)),
      ...elsewhere(schemas, job, 'shared schema'),
    );
  }
  if (details.length > 0) throw new RefusedError('the plan does not fit any more', { details, hint: anew });
}

function isIn({ work, settled }: MigrationJob, id: string): boolean {
  return [...work.keys()].some((tenant) => tenant.id === id) || settled.some(({ tenant }) => tenant.id === id);
}

interface PlannedPart {
  readonly files: readonly PlannedFile[];
  readonly schemas: readonly PlannedTenant[];
}

/** Only files that the plan would run: an edited one that is applied everywhere is refused for itself. */
function changedFiles({ files, schemas }: PlannedPart, folder: MigrationFolder): readonly string[] {
  const running = new Set(schemas.flatMap(({ migrations }) => migrations));
  return files
    .filter(({ name }) => running.has(name))
    .flatMap(({ name, checksum }) => {
      const migration = folder.byName.get(name);
      if (migration === undefined) return [`migration ${name} is not in the folder any more`];
      return migration.checksum === checksum ? [] : [`${migration.displayPath} was changed since the plan was made`];
    });
}

/** Named three at a time, by what happened to them. */
function elsewhere(planned: readonly PlannedTenant[], job: MigrationJob, noun: string): readonly string[] {
  const before = new Map(planned.map((each) => [each.id, each]));
  const reasons = new Map<string, string[]>();
  const note = (reason: string, id: string) => reasons.set(reason, [...(reasons.get(reason) ?? []), id]);
  const idle = new Map([...job.idle].map(([{ id }, survey]) => [id, survey]));
  for (const now of plannedTenants(job)) {
    const reason = differenceOf(before.get(now.id), now, idle.get(now.id));
    if (reason !== null) note(reason, now.id);
  }
  for (const outcome of job.settled) {
    if (outcome.status !== 'failed' || !before.has(outcome.tenant.id)) continue;
    note(`that cannot be planned any more (${outcome.error.message})`, outcome.tenant.id);
  }
  return [...reasons].map(([reason, ids]) => `${plural(ids.length, noun)} ${reason}: ${listNames(ids)}`);
}

function differenceOf(planned: PlannedTenant | undefined, now: PlannedTenant, idle: Survey | undefined): string | null {
  if (planned === undefined) return 'not in the plan';
  const isMoved = planned.server !== now.server || planned.database !== now.database || planned.schema !== now.schema;
  if (isMoved) return 'moved to another place since';
  const isSame =
    planned.from === now.from && planned.to === now.to && planned.migrations.join('\0') === now.migrations.join('\0');
  if (isSame && planned.history === now.history) return null;
  if (idle !== undefined && isBrought(planned, idle)) return null;
  const [from, at] = [planned.from ?? 'no history', now.from ?? 'no history'];
  return from === at ? `at ${at} with another history than planned` : `planned from ${from}, now at ${at}`;
}

/** Whether its planned migrations, and nothing else, came to the history that it had. */
function isBrought({ history, to, migrations }: PlannedTenant, { standing }: Survey): boolean {
  const names = new Set(standing.applied.map(({ name }) => name));
  const count = Number.parseInt(history ?? '', 10) + migrations.length;
  return standing.version === to && standing.applied.length === count && migrations.every((name) => names.has(name));
}

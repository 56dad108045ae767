import type { Context } from '../../context.ts';
import { InternalError } from '../../errors.ts';
import { type Tenant, tenantSchema } from '../../fleet/tenant.ts';
import type { Inspector } from '../../migrations/inspection.ts';
import type { RelationName } from '../../migrations/parse-tree.ts';
import { type Hazard, type JudgedMigration, judgePlan, relationsToLookUp } from '../../migrations/plan-hazards.ts';
import type { TenantContext } from '../../migrations/schema-context.ts';
import type { TableEstimates } from '../../migrations/table-estimates.ts';
import type { Fleet } from '../open-fleet.ts';
import { allowedByFile, type HazardPolicy, nothingAllowed } from './hazard-policy.ts';
import type { MigrationJob } from './migration-job.ts';
import { groupJobs, type PlanGroup } from './plan-groups.ts';
import { readTableSizes } from './table-sizes.ts';
import type { Engines, UpJobs } from './up-jobs.ts';

/** A hazard as it stands for one group of tenants. */
export interface ReviewedHazard extends Hazard {
  /** By the operator, or by the file. */
  readonly isAllowed: boolean;
  /** Where its table has the most rows; null: no table, or no tenant whose rows are known. */
  readonly worst: { readonly tenant: Tenant; readonly rows: number } | null;
  /** Tenants that have the table and whose rows are not known: it was never analysed. */
  readonly unknownRows: number;
}

export interface ReviewedMigration extends Omit<JudgedMigration, 'hazards'> {
  readonly hazards: readonly ReviewedHazard[];
}

export interface ReviewedGroup extends PlanGroup {
  readonly migrations: readonly ReviewedMigration[];
}

/** A plan with what can hurt in it, group by group in the order in which they are shown. */
export type PlanReview = readonly ReviewedGroup[];

/** Looks through all that would run, and at the sizes of the tables that it works on. Refuses nothing. */
export async function reviewPlan(
  context: Context,
  fleet: Fleet,
  jobs: UpJobs,
  engines: Engines,
  policy: HazardPolicy = nothingAllowed,
): Promise<PlanReview> {
  const groups = groupJobs(jobs);
  const wanted = new Map<Tenant, readonly RelationName[]>();
  for (const { job, plan, tenants } of groups) {
    const relations = relationsToLookUp(plan.migrations, job.direction, inspectorOf(job, engines));
    if (relations.length > 0) for (const tenant of tenants) wanted.set(tenant, relations);
  }
  const sizes = await readTableSizes(context, fleet, wanted);
  return groups.map((group) => reviewGroup(group, inspectorOf(group.job, engines), sizes, wanted, policy));
}

/** The one that has read the job's files already. */
function inspectorOf(job: MigrationJob, engines: Engines): Inspector {
  const engine = engines.get(job);
  if (engine === undefined) throw new InternalError('a plan is looked through whose engine was not prepared');
  return engine.inspector;
}

type Sizes = ReadonlyMap<Tenant, TableEstimates>;

function reviewGroup(
  group: PlanGroup,
  inspector: Inspector,
  sizes: Sizes,
  wanted: ReadonlyMap<Tenant, readonly RelationName[]>,
  policy: HazardPolicy,
): ReviewedGroup {
  const { job, plan, tenants } = group;
  const relations = wanted.get(tenants[0]!) ?? [];
  const judged = judgePlan(plan.migrations, job.direction, inspector, contextOf(tenants, relations, sizes));
  return {
    ...group,
    migrations: judged.map(({ migration, lanes, notes, hazards }) => {
      const allowed = new Set([...policy.allowed, ...allowedByFile(migration)]);
      const reviewed = hazards
        .map((hazard) => ({ ...hazard, isAllowed: allowed.has(hazard.hazard), ...measure(hazard, tenants, sizes) }))
        .filter(({ hazard, worst }) => hazard !== 'access-exclusive' || (worst?.rows ?? 0) > policy.largeTableRows);
      return { migration, lanes, notes, hazards: reviewed };
    }),
  };
}

/** Which names lead out of the tenants' schemas is known from the catalogue. */
function contextOf(tenants: readonly Tenant[], relations: readonly RelationName[], sizes: Sizes): TenantContext {
  const isElsewhere = (relation: RelationName) =>
    tenants.some((tenant) => sizes.get(tenant)?.find(tenant, relation)?.isOwn === false);
  return {
    schemas: new Set(tenants.map(tenantSchema)),
    alsoOnPath: new Set(tenants.flatMap(({ searchPath }) => searchPath)),
    sharedNames: new Set(relations.filter((each) => each.schema === null && isElsewhere(each)).map(({ name }) => name)),
  };
}

function measure(
  { relation }: Hazard,
  tenants: readonly Tenant[],
  sizes: Sizes,
): Pick<ReviewedHazard, 'worst' | 'unknownRows'> {
  let worst: ReviewedHazard['worst'] = null;
  let unknownRows = 0;
  for (const tenant of relation === null ? [] : tenants) {
    const table = relation === null ? undefined : sizes.get(tenant)?.find(tenant, relation);
    if (table == null) continue;
    if (table.rows === null) unknownRows += 1;
    else if (worst === null || table.rows > worst.rows) worst = { tenant, rows: table.rows };
  }
  return { worst, unknownRows };
}

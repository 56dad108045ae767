import { open, readFile, rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { UsageError } from '../../errors.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { MigrationJob } from './migration-job.ts';
import type { UpJobs } from './up-jobs.ts';

/** Names the format; another one is never read. */
export const planSchema = 'tenantctl-plan/1';

/** One tenant, or one shared schema, as it was planned. */
export interface PlannedTenant {
  readonly id: string;
  readonly server: string;
  readonly database: string;
  readonly schema: string | null;
  /** Fingerprint of its history; null: there was nothing to do, and it was not kept. */
  readonly history: string | null;
  readonly from: string | null;
  readonly to: string | null;
  /** What would run, by name, in order. */
  readonly migrations: readonly string[];
}

/** A file by its name in the history and the sha256 of its text. */
export interface PlannedFile {
  readonly name: string;
  readonly checksum: string;
}

/** What was reviewed, and nothing else may be run under its name. */
export interface PlanFile {
  readonly schema: typeof planSchema;
  readonly environment: string;
  /** RFC 3339, UTC. */
  readonly createdAt: string;
  readonly target: { readonly to: string | null; readonly count: number | null; readonly checkOrder: boolean };
  /** All files of the tenants' folder, in order: what is added later was not reviewed. */
  readonly files: readonly PlannedFile[];
  readonly tenants: readonly PlannedTenant[];
  /** Selected, but not to be planned: unreadable, out of order, … */
  readonly leftOut: readonly string[];
  readonly shared: readonly { readonly files: readonly PlannedFile[]; readonly schemas: readonly PlannedTenant[] }[];
}

/** Writes down what jobs would do. */
export function makePlan(
  { tenants, shared }: UpJobs,
  about: Pick<PlanFile, 'environment' | 'target'> & { readonly now: Date; readonly rejected: readonly Tenant[] },
): PlanFile {
  const failed = tenants.settled.filter(({ status }) => status !== 'done').map(({ tenant }) => tenant);
  return {
    schema: planSchema,
    environment: about.environment,
    createdAt: about.now.toISOString(),
    target: about.target,
    files: filesOf(tenants),
    tenants: plannedTenants(tenants),
    leftOut: [...about.rejected, ...failed].map(({ id }) => id),
    shared: shared.map((job) => ({ files: filesOf(job), schemas: plannedTenants(job) })),
  };
}

function filesOf({ folder }: MigrationJob): readonly PlannedFile[] {
  return folder.migrations.map(({ name, checksum }) => ({ name, checksum }));
}

/** A job's tenants as they stand, with or without something to do. */
export function plannedTenants({ work, settled }: MigrationJob): readonly PlannedTenant[] {
  const busy = [...work].map(([tenant, { plan, survey }]): PlannedTenant => {
    const { count, hash } = survey.fingerprint;
    const migrations = plan.migrations.map(({ name }) => name);
    return { ...placeOf(tenant), history: `${count}:${hash}`, from: plan.from, to: plan.to, migrations };
  });
  const still = settled.flatMap((outcome): readonly PlannedTenant[] => {
    if (outcome.status !== 'done') return [];
    const { from, to } = outcome.value;
    return [{ ...placeOf(outcome.tenant), history: null, from, to, migrations: [] }];
  });
  return [...busy, ...still];
}

function placeOf({ id, server, database, schema }: Tenant) {
  return { id, server, database, schema };
}

/** Writes a plan beside its place and renames it when it is on disk: nobody reads half a plan. */
export async function writePlanFile(file: string, cwd: string, plan: PlanFile): Promise<void> {
  const target = resolve(cwd, file);
  const partial = `${target}.partial`;
  try {
    const handle = await open(partial, 'w');
    try {
      await handle.writeFile(`${JSON.stringify(plan, null, 1)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {});
    throw new UsageError(`cannot write the plan ${file}: ${reasonOf(error)}`, {
      hint: 'name a file in a folder that can be written',
      cause: error,
    });
  }
}

/** Reads what `writePlanFile` wrote; anything else is a usage error. */
export async function readPlanFile(file: string, cwd: string): Promise<PlanFile> {
  const hint = 'make one with `tenantctl migrate plan --out <file>`';
  let text: string;
  try {
    text = await readFile(resolve(cwd, file), 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read the plan ${file}: ${reasonOf(error)}`, { hint, cause: error });
  }
  const plan = parse(text);
  if (isPlanFile(plan)) return plan;
  const schema = isRecord(plan) && typeof plan.schema === 'string' ? plan.schema : null;
  const isOther = schema !== null && schema !== planSchema;
  const what = isOther
    ? `it is of the format ${JSON.stringify(schema)}, this tenantctl reads ${JSON.stringify(planSchema)}`
    : 'it is not a plan, or it is damaged';
  throw new UsageError(`cannot use the plan ${file}: ${what}`, { hint });
}

function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isListOf<T>(value: unknown, isOne: (item: unknown) => item is T): value is readonly T[] {
  return Array.isArray(value) && value.every(isOne);
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isTextOrNull = (value: unknown): value is string | null => value === null || isText(value);

function isFile(value: unknown): value is PlannedFile {
  return isRecord(value) && isText(value.name) && isText(value.checksum);
}

function isTenant(value: unknown): value is PlannedTenant {
  if (!isRecord(value)) return false;
  const { id, server, database, schema, history, from, to, migrations } = value;
  return (
    [id, server, database].every(isText) &&
    [schema, history, from, to].every(isTextOrNull) &&
    isListOf(migrations, isText)
  );
}

function isTarget(value: unknown): value is PlanFile['target'] {
  if (!isRecord(value)) return false;
  const { to, count, checkOrder } = value;
  return isTextOrNull(to) && (count === null || typeof count === 'number') && typeof checkOrder === 'boolean';
}

function isShared(value: unknown): value is PlanFile['shared'][number] {
  return isRecord(value) && isListOf(value.files, isFile) && isListOf(value.schemas, isTenant);
}

function isPlanFile(value: unknown): value is PlanFile {
  if (!isRecord(value) || value.schema !== planSchema) return false;
  const { environment, createdAt, target, files, tenants, leftOut, shared } = value;
  return (
    [environment, createdAt].every(isText) &&
    isTarget(target) &&
    isListOf(files, isFile) &&
    isListOf(tenants, isTenant) &&
    isListOf(leftOut, isText) &&
    isListOf(shared, isShared)
  );
}

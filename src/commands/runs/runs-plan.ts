import { UsageError } from '../../errors.ts';
import type { Manifest } from '../../fleet/ledger.ts';
import type { MigrationFolder } from '../../migrations/folder.ts';
import type { Standing, Target } from '../../migrations/plan.ts';
import type { MigrationJob } from '../migrate/migration-job.ts';
import type { Surveyed } from '../migrate/survey-fleet.ts';

/** What a run was to do, in the options of its manifest: all that `runs resume` must know. */
export interface RecordedPlan {
  /** Path of the migrations folder. */
  readonly folder?: string;
  /** Names of all files that the run knew. */
  readonly files?: readonly string[];
  /** The same of the folders of shared schemas. */
  readonly sharedFiles?: readonly string[];
  /** False: older ones than one that was applied were to run as well. */
  readonly checkOrder?: boolean;
  /** How far the run was to go, one for all tenants; null: each by a count of its own, or by a run. */
  readonly target?: string | null;
  /** Checksums of the files that it was to run, by name. */
  readonly migrations?: Readonly<Record<string, string>>;
  /** Where tenants were to end (`to`, up), and what was to be taken back on them (`migrations`, down). */
  readonly plans?: readonly PlannedGroup[];
}

export interface PlannedGroup {
  readonly to?: string | null;
  readonly migrations?: readonly string[];
  readonly tenants: readonly string[];
}

/**
 * Writes a job down. A target for all says enough; counted steps mean something else for each tenant. `shared`: what
 * runs before it on shared schemas.
 */
export function recordedPlan(
  { folder, direction, work }: MigrationJob,
  target: Target,
  shared: readonly MigrationJob[] = [],
): RecordedPlan {
  const groups = new Map<string, Required<PlannedGroup> & { readonly tenants: string[] }>();
  const migrations = new Map<string, string>();
  for (const [{ id }, { plan }] of work) {
    for (const { name, checksum } of plan.migrations) migrations.set(name, checksum);
    const names = plan.migrations.map(({ name }) => name);
    const key = direction === 'up' ? `${plan.to}` : names.join('/');
    const group = groups.get(key) ?? { to: plan.to, migrations: names, tenants: [] };
    group.tenants.push(id);
    groups.set(key, group);
  }
  const sharedFiles = shared.flatMap((job) => filesOf(job.folder));
  const base = { folder: folder.path, files: filesOf(folder), sharedFiles, migrations: Object.fromEntries(migrations) };
  if (direction === 'down') {
    const plans = [...groups.values()].map(({ migrations, tenants }) => ({ migrations, tenants }));
    return { ...base, target: target.to?.name ?? null, plans };
  }
  if (target.count === null) return { ...base, target: (target.to ?? folder.migrations.at(-1))?.name ?? null };
  return { ...base, target: null, plans: [...groups.values()].map(({ to, tenants }) => ({ to, tenants })) };
}

function filesOf({ migrations }: MigrationFolder): readonly string[] {
  return migrations.map(({ name }) => name);
}

/** Reads back what `recordedPlan` wrote; a run of another command, or version, has less of it. */
export function readRecordedPlan({ run, options }: Manifest): RecordedPlan {
  const plan = options as RecordedPlan | undefined;
  const isWhole =
    typeof plan === 'object' &&
    plan !== null &&
    ['string', 'undefined'].includes(typeof plan.folder) &&
    [plan.files, plan.sharedFiles].every((files) => files === undefined || Array.isArray(files)) &&
    ['boolean', 'undefined'].includes(typeof plan.checkOrder) &&
    (plan.target == null || typeof plan.target === 'string') &&
    (plan.migrations === undefined || (typeof plan.migrations === 'object' && plan.migrations !== null)) &&
    (plan.plans === undefined || (Array.isArray(plan.plans) && plan.plans.every(isGroup)));
  if (isWhole) return plan;
  throw new UsageError(`the record of run ${run} does not tell what was planned`, {
    hint: 'select its tenants by --from-run instead',
  });
}

function isGroup(group: unknown): boolean {
  const { tenants, migrations } = (group ?? {}) as Partial<PlannedGroup>;
  return Array.isArray(tenants) && (migrations === undefined || Array.isArray(migrations));
}

/** Of a restore: the backup that it had chosen for each tenant, and the run whose work it was to put in place. */
export function readRecordedBackups({ options }: Manifest): {
  readonly planned: ReadonlyMap<string, string>;
  readonly swapsRun: string | null;
} {
  const { backups, swapsRun } = options;
  const times = typeof backups === 'object' && backups !== null ? Object.entries(backups) : [];
  return {
    planned: new Map(times.filter((each): each is [string, string] => typeof each[1] === 'string')),
    swapsRun: typeof swapsRun === 'string' ? swapsRun : null,
  };
}

/** What was to be taken back, by tenant. */
export function plannedBack({ plans = [] }: RecordedPlan): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(
    plans.flatMap(({ migrations = [], tenants }) => {
      const names = new Set(migrations);
      return tenants.map((id) => [id, names] as const);
    }),
  );
}

/** Files of the plan that are not as they were, in words. */
export function changedFiles({ migrations = {} }: RecordedPlan, folder: MigrationFolder): readonly string[] {
  return Object.entries(migrations).flatMap(([name, checksum]) => {
    const file = folder.byName.get(name);
    if (file === undefined) return [`${name} is missing`];
    return file.checksum === checksum ? [] : [`${file.displayPath} was changed`];
  });
}

/**
 * Tenants that stand alike now may have had different plans in the run that is resumed: each plan gets a standing of
 * its own, so that each is decided by its own. Tenants without a plan keep the standing that they share.
 */
export function standByPlan(
  surveyed: Surveyed,
  planned: ReadonlyMap<string, ReadonlySet<string>>,
): { readonly surveyed: Surveyed; readonly meant: ReadonlyMap<Standing, ReadonlySet<string>> } {
  const copies = new Map<Standing, Map<ReadonlySet<string>, Standing>>();
  const meant = new Map<Standing, ReadonlySet<string>>();
  const outcomes = surveyed.outcomes.map((outcome) => {
    const names = planned.get(outcome.tenant.id);
    if (outcome.status !== 'done' || names === undefined) return outcome;
    const { standing } = outcome.value;
    const ofStanding = copies.get(standing) ?? new Map<ReadonlySet<string>, Standing>();
    const copy = ofStanding.get(names) ?? { ...standing };
    copies.set(standing, ofStanding.set(names, copy));
    meant.set(copy, names);
    return { ...outcome, value: { ...outcome.value, standing: copy } };
  });
  return { surveyed: { ...surveyed, outcomes }, meant };
}

import { availableParallelism } from 'node:os';
import type { Backup } from '../../backups/repository/backup.ts';
import type { BackupManifest } from '../../backups/repository/manifest.ts';
import type { Repository } from '../../backups/repository/repository.ts';
import type { OnRestored } from '../../backups/verify/check-restore.ts';
import { type VerifiedBackup, Verifier } from '../../backups/verify/verifier.ts';
import type { Context } from '../../context.ts';
import { TenantError } from '../../errors.ts';
import type { RunLimits } from '../../fleet/limits.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Place, Task } from '../../fleet/place.ts';
import { runFleet } from '../../fleet/run.ts';
import { placeKey, type Tenant } from '../../fleet/tenant.ts';
import { plural, shellQuote } from '../../words.ts';
import type { Fleet } from '../open-fleet.ts';
import { errorReader, goOn } from '../read-fleet.ts';
import { openScratchMeans, type ScratchMeans } from './scratch-means.ts';
import type { VerifyOptions } from './verify-options.ts';
import { type PlannedTenant, readBackup } from './verify-plan.ts';
import { whyUnfinished } from './verify-text.ts';

/** `value` of a done outcome: the backup that was looked at; with `--all-backups` the worst, and all. */
export interface Verified extends VerifiedBackup {
  readonly all?: readonly VerifiedBackup[];
}

export interface VerifyRun {
  readonly repository: Repository;
  readonly planned: readonly PlannedTenant[];
  readonly options: VerifyOptions;
  /** Aborted when the budget is used up. */
  readonly budget: AbortSignal;
  /** At level `restore`: looks at each restored tenant while it stands. */
  readonly onRestored?: OnRestored;
}

/** Manifests that are read at the same time, to learn which servers are needed. */
const readingAtOnce = 16;

/** Looks at the backups of those tenants, in their order. */
export async function runVerification(context: Context, fleet: Fleet, run: VerifyRun): Promise<Outcome<Verified>[]> {
  const { options, repository, planned } = run;
  const scratch = options.level === 'restore' ? await openScratch(context, fleet, run) : null;
  try {
    const verifier = new Verifier({
      repository,
      level: options.level,
      meansFor: scratch === null ? null : (manifest) => scratch.meansFor(manifest),
      run: fleet.run,
      version: context.version,
      now: context.now,
    });
    const tenants = planned.map(({ tenant }) => tenant);
    return await runFleet<Verified>({
      phase: 'verifying',
      tenants,
      places: tenants.length === 0 ? [] : [placeOf(run, verifier)],
      limits: limitsFor(fleet, options, scratch),
      policy: goOn,
      timeoutMs: options.timeoutMs,
      errors: errorReader,
      interrupts: { ...context.interrupts, stop: AbortSignal.any([context.interrupts.stop, run.budget]) },
      emit: context.emit,
    });
  } finally {
    await scratch?.close();
  }
}

async function openScratch(
  context: Context,
  fleet: Fleet,
  { repository, planned, options, onRestored }: VerifyRun,
): Promise<ScratchMeans> {
  const backups = planned.flatMap((each) => each.backups);
  const manifests: BackupManifest[] = [];
  for (let at = 0; at < backups.length; at += readingAtOnce) {
    const some = await Promise.all(
      backups
        .slice(at, at + readingAtOnce)
        .map((backup) => (backup.manifest === null ? readBackup(repository, backup) : backup)),
    );
    manifests.push(...some.flatMap((backup) => backup?.manifest ?? []));
  }
  const { scratch } = options;
  const checks = checksOf(fleet, options);
  return openScratchMeans(context, fleet, { repository, manifests, scratch, checks, onRestored });
}

function checksOf({ inventory }: Fleet, { checks }: VerifyOptions): readonly string[] {
  return [...inventory.backups.checks, ...checks];
}

/**
 * One place for all, whatever database they live in: what is worked on is the store, and this machine, and only one
 * queue keeps those first that have waited longest.
 */
function placeOf(run: VerifyRun, verifier: Verifier): Place<unknown, Verified> {
  const { repository, planned } = run;
  const byTenant = new Map(planned.map((each) => [each.tenant, each]));
  const schemas = Map.groupBy(
    planned.map(({ tenant }) => tenant).filter(({ schema }) => schema !== null),
    placeKey,
  );
  const othersOf = (tenant: Tenant) => {
    const names = (schemas.get(placeKey(tenant)) ?? []).map(({ schema }) => schema ?? '');
    return new Set(names.filter((name) => name !== tenant.schema));
  };
  return {
    server: 'backups',
    database: repository.name,
    tenants: planned.map(({ tenant }) => tenant),
    batches: () => planned.map(({ tenant }) => ({ tenants: [tenant] })),
    work: async (_, batch, task) => {
      for (const tenant of batch.tenants) {
        await verifyTenant(run, verifier, { ...byTenant.get(tenant)!, others: othersOf(tenant) }, task);
      }
    },
  };
}

async function verifyTenant(
  { repository, options }: VerifyRun,
  verifier: Verifier,
  { tenant, backups, unfinished, others }: PlannedTenant & { readonly others: ReadonlySet<string> },
  task: Task<Verified>,
): Promise<void> {
  if (backups.length === 0) return task.failed(tenant, noBackup(tenant, unfinished, repository, options));
  const found: VerifiedBackup[] = [];
  for (const listed of backups) {
    task.step(tenant, `backup ${listed.time}`);
    const backup = (await readBackup(repository, listed)) ?? gone(listed);
    found.push(await verifier.verify(backup, { searchPath: tenant.searchPath, others }, task.signal));
  }
  const worst = found.toSorted((a, b) => badness[b.verdict] - badness[a.verdict])[0]!;
  if (worst.verdict === 'could-not-run') return task.failed(tenant, couldNotRun(worst));
  const remarks =
    unfinished === 0
      ? []
      : [
          `${plural(unfinished, options.allBackups ? 'archive' : 'newer archive')} without a manifest: ${whyUnfinished}`,
        ];
  const value = { ...worst, remarks: [...worst.remarks, ...remarks], ...(options.allBackups ? { all: found } : {}) };
  task.done(tenant, value, { finding: worst.verdict === 'bad' });
}

/** A bad one is told whatever else there is. */
const badness = { passed: 0, 'could-not-run': 1, bad: 2 } as const;

/** It was in the listing a moment ago. */
function gone(listed: Backup): Backup {
  const none = { file: null, manifest: null, verified: null, pin: null, receipt: null };
  return { ...listed, keys: none, state: 'no-archive', problem: 'it went away while it was looked for' };
}

function noBackup({ id }: Tenant, unfinished: number, { name }: Repository, { at }: VerifyOptions): TenantError {
  const before = at === null ? '' : ` from before ${at.toISOString()}`;
  const but = unfinished === 0 ? '' : `, but ${plural(unfinished, 'archive')} without a manifest (${whyUnfinished})`;
  const message = `${name} has no backup of it${before}${but}`;
  return new TenantError({ message, code: 'no-backup', hint: `make one: tenantctl dump -t ${shellQuote(id)}` });
}

function couldNotRun({ backup, problems, remarks }: VerifiedBackup): TenantError {
  const [first = 'no reason was given', ...rest] = problems;
  const detail = [...rest, ...remarks].join('\n');
  return new TenantError({
    message: `backup ${backup} could not be verified: ${first}`,
    code: 'could-not-run',
    ...(detail === '' ? {} : { detail }),
  });
}

/** Reading, hashing and inflating keep the cores busy: the limits of servers say nothing here. */
function limitsFor(fleet: Fleet, options: VerifyOptions, scratch: ScratchMeans | null): RunLimits {
  const cores = Math.max(2, availableParallelism());
  const wanted = options.limits.concurrency ?? Math.min(fleet.limits.fleet.concurrency, cores);
  const concurrency = Math.min(wanted, scratch?.atMost ?? wanted);
  return {
    fleet: { concurrency, perServer: concurrency, perDatabase: concurrency },
    perServer: new Map(),
    perDatabase: new Map(),
  };
}

import type { Context } from '../../context.ts';
import { RefusedError, UsageError } from '../../errors.ts';
import { type RunRecord, wasHibernated } from '../../fleet/run-records.ts';
import type { Command, RawOptions } from '../command.ts';
import { readFlagsAgain } from '../environment-flags.ts';
import { plannedBack, readRecordedBackups, readRecordedPlan } from './runs-plan.ts';

/** A command that can be run again on what it left: how its options are made of a record. */
interface Resumable {
  readonly load: () => Promise<Command<never, never>>;
  /** Flags in place of the recorded ones. */
  readonly flags: (record: RunRecord) => RawOptions;
  /** What no flag can say. */
  readonly extra: (record: RunRecord) => Readonly<Record<string, unknown>>;
}

const resumables: Readonly<Record<string, Resumable>> = {
  migrate: {
    load: async () => (await import('../migrate/migrate-up.ts')).migrateUp as never,
    flags: upFlags,
    extra: knownFiles,
  },
  'migrate down': {
    load: async () => (await import('../migrate/migrate-down.ts')).migrateDown as never,
    flags: downFlags,
    extra: ({ manifest }) => ({ planned: plannedBack(readRecordedPlan(manifest)) }),
  },
  'migrate repair': {
    load: async () => (await import('../migrate/migrate-repair.ts')).migrateRepair as never,
    flags: () => ({}),
    extra: () => ({}),
  },
  restore: {
    load: async () => (await import('../backups/restore.ts')).restore as never,
    flags: () => ({}),
    extra: ({ manifest }) => readRecordedBackups(manifest),
  },
};

export function canResume(command: string): boolean {
  return Object.hasOwn(resumables, command);
}

/** Tenants that the run was to change and that are not known to be done. */
export function unfinishedTenants({ tenants, entries }: RunRecord): readonly string[] {
  return tenants.filter((id) => {
    const entry = entries.get(id);
    return entry?.status !== 'done' && !wasHibernated(entry);
  });
}

/**
 * Flags that are the first run's own affair: which tenants it took, whether it had to ask. What a reviewed plan said
 * is in the record: target, order, files and checksums.
 */
const ofFirstRun = [
  ...['all', 'tenant', 'label', 'server', 'database', 'except', 'shard', 'fromRun', 'outcome', 'allowEmpty'],
  ...['plan', 'yes', 'dryRun'],
] as const;

/**
 * The command of a run and its options, aimed at the tenants that are not done. `anew` are flags of this invocation,
 * which go before the recorded ones.
 */
export async function resumeCommand(
  context: Context,
  record: RunRecord,
  anew: RawOptions,
): Promise<{ readonly command: Command<never, never>; readonly options: never }> {
  const { run, command: name, flags } = record.manifest;
  const resumable = canResume(name) ? resumables[name] : undefined;
  if (resumable === undefined) {
    throw new UsageError(`run ${run} was a ${name}, which cannot be resumed`, {
      hint: `run the command again: tenantctl ${name}`,
    });
  }
  if (flags === undefined) {
    throw new UsageError(`the record of run ${run} does not tell its flags`, {
      hint: `run the command again with the flags it had, on what it left: tenantctl ${name} --from-run ${run}`,
    });
  }
  const kept = Object.entries(flags).filter(([key]) => !ofFirstRun.some((each) => each === key));
  const raw: RawOptions = {
    ...Object.fromEntries(kept),
    ...readFlagsAgain(context, record.manifest),
    ...resumable.flags(record),
    ...anew,
    fromRun: run,
    outcome: 'failed,interrupted,skipped',
  };
  const command = await resumable.load();
  const options = { ...(command.options(raw, []) as object), ...resumable.extra(record) } as never;
  return { command, options };
}

/** Up: as far as the first run wanted to come, whatever files came since. */
function upFlags(record: RunRecord): RawOptions {
  const { target, plans, checkOrder } = readRecordedPlan(record.manifest);
  // A reviewed plan said it in place of the flag.
  const order = checkOrder === undefined ? {} : { checkOrder };
  if (target != null) return { ...order, to: target };
  const isCounted = plans !== undefined || record.manifest.flags?.count !== undefined;
  return isCounted ? { ...order, count: undefined, to: countedTarget(record) } : order;
}

/**
 * `--count` again would go on from where a tenant stands that was migrated, but killed before that was recorded. Where
 * it was to end says the same, and can be said again.
 */
function countedTarget(record: RunRecord): string {
  const { plans = [] } = readRecordedPlan(record.manifest);
  const left = new Set(unfinishedTenants(record));
  const targets = new Map<string, readonly string[]>();
  for (const { to, tenants } of plans) {
    const those = tenants.filter((id) => left.delete(id));
    if (those.length > 0 && to != null) targets.set(to, those);
  }
  const [first] = targets.keys();
  if (targets.size === 1 && left.size === 0 && first !== undefined) return first;
  const { run } = record.manifest;
  throw new RefusedError(`run ${run} counted its migrations, and the tenants it left were to end in several places`, {
    details: [...targets].map(([to, ids]) => `${to}: ${ids.slice(0, 3).join(', ')}${ids.length > 3 ? ', …' : ''}`),
    hint: `say how far: tenantctl migrate --from-run ${run} --to <migration>`,
  });
}

/** Nobody has looked at files that came since; after a reviewed plan they are what must not be run. */
function knownFiles({ manifest }: RunRecord) {
  const { files = null, sharedFiles = null } = readRecordedPlan(manifest);
  return { files, sharedFiles };
}

/** Down: what was planned for each tenant decides, and `--count` only for those that were never looked at. */
function downFlags({ manifest }: RunRecord): RawOptions {
  if (readRecordedPlan(manifest).plans !== undefined) return {};
  throw new UsageError(`the record of run ${manifest.run} does not tell what was planned for each tenant`, {
    hint: `look where they stand, then: tenantctl migrate down --from-run ${manifest.run} --to <migration>`,
  });
}

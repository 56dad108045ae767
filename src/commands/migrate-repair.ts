import type { Context } from '../context.ts';
import type { Outcome } from '../fleet/outcome.ts';
import type { Tenant } from '../fleet/tenant.ts';
import type { Migration, MigrationFolder } from '../migrations/folder.ts';
import { type RepairResult, repairChecksums } from '../migrations/repair.ts';
import type { Result } from '../output/result.ts';
import { changeTenants } from './change-tenants.ts';
import type { Command, RawOptions } from './command.ts';
import { askConsent } from './consent.ts';
import { changeFlags, consentFlags, dryRunFlag, limitFlags, selectionFlags } from './flags.ts';
import { type MigrationOptions, readMigrationOptions } from './migration-options.ts';
import { countTenants } from './migration-view.ts';
import { type Fleet, mergeOutcomes } from './open-fleet.ts';
import { readSwitch } from './read-options.ts';
import { recordRun } from './record-run.ts';
import { sharedEntries, surveyShared, surveyTenants, withMigrations } from './survey-fleet.ts';

interface RepairOptions extends MigrationOptions {
  readonly yes: boolean;
}

/** `tenantctl migrate repair`: accepts that applied files were edited. */
export const migrateRepair: Command<RepairOptions, RepairResult> = {
  name: 'migrate repair',
  summary: 'accept applied files that were edited: record their checksums as they are now',
  examples: [
    ['tenantctl migrate repair --all --dry-run', 'which files were edited, and how many tenants ran them before'],
    ['tenantctl migrate repair --all', 'after a look at the edit: a comment, say, and not a statement'],
  ],
  flags: [...selectionFlags, dryRunFlag, ...consentFlags, ...limitFlags, ...changeFlags],
  view: {
    columns: ['tenant', 'repaired'],
    row: (outcome, { verbose }) =>
      outcome.status === 'done' && verbose ? [outcome.tenant.id, outcome.value.repaired.join(' ') || '-'] : null,
  },
  options: (raw: RawOptions) => ({ ...readMigrationOptions(raw), yes: readSwitch(raw, 'yes') }),
  run: (context, options) => {
    const mode = options.dryRun ? 'read' : 'change';
    return withMigrations(context, { ...options, mode, writesNothing: options.dryRun }, (fleet, folder) => {
      return repair(context, fleet, folder, options);
    });
  },
  canRetry: true,
};

async function repair(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  options: RepairOptions,
): Promise<Result<RepairResult>> {
  const { environment } = fleet.inventory;
  const surveyed = [
    await surveyTenants(context, fleet, folder, fleet.tenants),
    ...(await surveyShared(context, fleet)),
  ];
  const shared = surveyed.slice(1).flatMap(({ tenants }) => tenants);
  const edited = new Map<Tenant, readonly Migration[]>();
  const settled: Outcome<RepairResult>[] = [...fleet.rejected];
  for (const outcome of surveyed.flatMap(({ outcomes }) => outcomes)) {
    if (outcome.status !== 'done') settled.push(outcome);
    else if (outcome.value.standing.edited.length === 0) settled.push({ ...outcome, value: { repaired: [] } });
    else edited.set(outcome.tenant, outcome.value.standing.edited);
  }
  const lines = describeEdits(edited);
  const [first = 'no applied file was edited', ...rest] = lines;
  const answer = { environment, sources: fleet.sources, text: [`environment ${environment}: ${first}`, ...rest] };
  if (options.dryRun || edited.size === 0) {
    const planned = [...edited].map(([tenant, migrations]): Outcome<RepairResult> => {
      const repaired = migrations.map(({ name }) => name);
      return { tenant, status: 'done', value: { repaired }, durationMs: 0 };
    });
    const all = mergeOutcomes<RepairResult>(fleet.selected, settled, planned);
    const entries = sharedEntries(shared, [...settled, ...planned]);
    return { ...answer, outcomes: all, run: null, extra: { dryRun: options.dryRun, ...entries } };
  }
  await askConsent(context, environment, { lines, risk: 'this accepts edits of applied files' }, options.yes);
  const run = { phase: 'repairing', tenants: [...edited.keys()], change: repairer(edited) };
  const done = await recordRun(context, fleet, 'migrate repair', {}, (recorded) => {
    for (const outcome of settled) recorded.emit({ type: 'settled', outcome });
    return changeTenants(recorded, fleet, run, options);
  });
  const outcomes = mergeOutcomes<RepairResult>(fleet.selected, settled, done);
  return { ...answer, outcomes, run: fleet.run, extra: sharedEntries(shared, [...settled, ...done]) };
}

function repairer(edited: ReadonlyMap<Tenant, readonly Migration[]>) {
  return (...[session, tenant, take]: Parameters<RepairOne>) =>
    repairChecksums(session, tenant, edited.get(tenant) ?? [], take);
}

type RepairOne = Parameters<typeof changeTenants<RepairResult>>[2]['change'];

function describeEdits(edited: ReadonlyMap<Tenant, readonly Migration[]>): string[] {
  const counts = new Map<Migration, number>();
  for (const migration of [...edited.values()].flat()) counts.set(migration, (counts.get(migration) ?? 0) + 1);
  return [...counts].map(([{ displayPath }, count]) => `${displayPath} was edited since ${countTenants(count)} ran it`);
}

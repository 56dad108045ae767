import type { ArchivedTable } from '../../backups/archive/types.ts';
import type { Repository } from '../../backups/repository/repository.ts';
import { findArchivedRows, readTableName } from '../../backups/restore/archived-rows.ts';
import { readTocOf } from '../../backups/restore/checked-archive.ts';
import { type ChosenBackup, chooseBackup } from '../../backups/restore/choose-backup.ts';
import { inspectTarget, type TargetFacts } from '../../backups/restore/inspect-target.ts';
import type { RestoreHooks, RestoreWay, TenantPlace } from '../../backups/restore/restore-types.ts';
import type { Context } from '../../context.ts';
import { type Failure, UsageError } from '../../errors.ts';
import type { LedgerEntry } from '../../fleet/ledger.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Place } from '../../fleet/place.ts';
import { readRun } from '../../fleet/run-records.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { applicationName, prepareReader } from '../../postgres/tenant-session.ts';
import { type Fleet, groupByPlace } from '../open-fleet.ts';
import { connectionSettings } from '../open-inventory.ts';
import { readFleet } from '../read-fleet.ts';
import { readArchivedRights, rightsRemark } from './archived-rights.ts';
import { refuseGone, refuseLacking, remarksOf } from './restore-judge.ts';
import type { RestoreOptions } from './restore-options.ts';
import { listTenants } from './restore-selection.ts';
import { serverMajor } from './restore-tools.ts';
import type { RestoreValue } from './restore-value.ts';

/** What is to be done with one tenant. */
export interface PlannedRestore {
  readonly tenant: Tenant;
  /** It, where the session stands that does the work: a database of its own cannot be renamed from within. */
  readonly workplace: Tenant;
  readonly chosen: ChosenBackup;
  readonly way: RestoreWay;
  readonly livingExists: boolean;
  /** What stands outside of the living schema and refers to it. */
  readonly outside: readonly string[];
  /** The tables whose rows are restored. */
  readonly tables: readonly ArchivedTable[];
  /** What is done to it before anybody gets at it. */
  readonly hooks: RestoreHooks;
  /** What an earlier run has restored: it is put in place, and nothing is restored. */
  readonly earlier: RestoreValue | null;
  /** What an archive cannot carry, and what else an operator should know, a line each. */
  readonly remarks: readonly string[];
}

export interface RestorePlan {
  readonly planned: ReadonlyMap<Tenant, PlannedRestore>;
  /** Those who cannot be restored. */
  readonly settled: readonly Outcome<never>[];
}

/** Chooses a backup for each tenant and looks at where it would go; nothing is touched. `lost`: are not in the fleet. */
export async function planRestores(
  context: Context,
  fleet: Fleet,
  lost: ReadonlySet<Tenant>,
  repository: Repository,
  options: RestoreOptions,
): Promise<RestorePlan> {
  const backups = await listTenants(
    repository,
    fleet.tenants.map(({ id }) => id),
  );
  const entries = await readEarlier(fleet, options);
  const quiet = { ...context, emit: () => {} };
  const settingsOf = connectionSettings(quiet, fleet.inventory);
  const chosen = new Map<Tenant, ChosenBackup>();
  const workplaces = new Map<Tenant, Tenant>();
  const settled: Outcome<never>[] = [];
  for (const tenant of fleet.tenants) {
    const time = options.planned.get(tenant.id) ?? entries?.get(tenant.id)?.backup.time;
    const choice = chooseBackup(backups.get(tenant.id) ?? [], {
      ...{ at: options.at, time, onlyRows: options.rows !== null },
    });
    const failure = 'backup' in choice ? refuseKind(tenant, choice, options) : choice;
    if (failure !== null) settled.push({ tenant, status: 'failed', step: 'plan', error: failure, durationMs: 0 });
    else if ('backup' in choice) {
      chosen.set(tenant, choice);
      workplaces.set(workplaceOf(tenant, options, settingsOf(tenant.server).database), tenant);
    }
  }
  const planner = new Planner(fleet, repository, options, chosen, workplaces, entries);
  const outcomes = await planner.look(context);
  const goesHome = options.toSchema === null && options.toDatabase === null;
  const planned = new Map<Tenant, PlannedRestore>();
  for (const outcome of outcomes) {
    const tenant = workplaces.get(outcome.tenant) ?? outcome.tenant;
    if (outcome.status === 'done' && goesHome && lost.has(tenant) && outcome.value.livingExists) {
      settled.push({ tenant, status: 'failed', step: 'plan', error: notGone(outcome.value), durationMs: 0 });
    } else if (outcome.status === 'done') planned.set(tenant, outcome.value);
    else settled.push({ ...outcome, tenant });
  }
  return { planned, settled };
}

/** Who is not in the fleet has no living one that could be put aside. */
function notGone({ tenant: { schema, database } }: PlannedRestore): Failure {
  const what = schema === null ? `database ${JSON.stringify(database)}` : `schema ${JSON.stringify(schema)}`;
  return {
    message: `it is not in the fleet, and ${what}, where it was, is there`,
    code: 'target-exists',
    hint: `add it to the inventory, or say where to: --to-${schema === null ? 'database' : 'schema'}`,
  };
}

/** What the run that `--swap --from-run` names has restored, by tenant; null: this is no such swap. */
async function readEarlier(
  { inventory }: Fleet,
  { swapsRun }: RestoreOptions,
): Promise<ReadonlyMap<string, RestoreValue> | null> {
  if (swapsRun === null) return null;
  const { manifest, entries } = await readRun(inventory.state, swapsRun);
  if (manifest.command !== 'restore') {
    throw new UsageError(`run ${manifest.run} was a ${manifest.command}, which has restored nothing`, {
      hint: 'see which runs there were: tenantctl runs list',
    });
  }
  const restored = [...entries.values()].filter(({ status }) => status === 'done');
  return new Map(restored.map((entry: LedgerEntry) => [entry.tenant, entry.value as RestoreValue]));
}

function refuseKind(tenant: Tenant, { manifest }: ChosenBackup, { toSchema }: RestoreOptions): Failure | null {
  if ((manifest.place.schema === null) !== (tenant.schema === null)) {
    return {
      message: `the backup is of a ${manifest.place.schema === null ? 'database' : 'schema'}, and the tenant is a ${tenant.schema === null ? 'database' : 'schema'} now`,
      code: 'other-kind',
      hint: 'restore it by hand: the archive is for pg_restore; tenantctl backups show tells its file',
    };
  }
  if (tenant.schema !== null || toSchema === null) return null;
  return { message: 'it has a database of its own', code: 'other-kind', hint: 'name one with --to-database' };
}

function workplaceOf(tenant: Tenant, { toDatabase, rows }: RestoreOptions, maintenance: string): Tenant {
  if (rows !== null) return { ...tenant };
  if (tenant.schema !== null) return { ...tenant, database: toDatabase ?? tenant.database };
  return { ...tenant, database: maintenance === tenant.database ? 'postgres' : maintenance };
}

/** Looks at each tenant's server, by the same executor that does the work. */
class Planner {
  readonly #fleet: Fleet;
  readonly #repository: Repository;
  readonly #options: RestoreOptions;
  readonly #chosen: ReadonlyMap<Tenant, ChosenBackup>;
  readonly #workplaces: ReadonlyMap<Tenant, Tenant>;
  readonly #entries: ReadonlyMap<string, RestoreValue> | null;

  constructor(
    fleet: Fleet,
    repository: Repository,
    options: RestoreOptions,
    chosen: ReadonlyMap<Tenant, ChosenBackup>,
    workplaces: ReadonlyMap<Tenant, Tenant>,
    entries: ReadonlyMap<string, RestoreValue> | null,
  ) {
    this.#fleet = fleet;
    this.#repository = repository;
    this.#options = options;
    this.#chosen = chosen;
    this.#workplaces = workplaces;
    this.#entries = entries;
  }

  look(context: Context): Promise<Outcome<PlannedRestore>[]> {
    const tenants = [...this.#workplaces.keys()];
    const places = groupByPlace(tenants).map(
      (group): Place<unknown, PlannedRestore> => ({
        ...group,
        batches: () => group.tenants.map((tenant) => ({ tenants: [tenant] })),
        work: async (_scope, { tenants: [workplace] }, task) => {
          const tenant = workplace === undefined ? undefined : this.#workplaces.get(workplace);
          if (workplace !== undefined && tenant !== undefined)
            task.done(workplace, await this.#plan(tenant, workplace));
        },
      }),
    );
    return readFleet(context, this.#fleet, 'looking', tenants, places);
  }

  async #plan(tenant: Tenant, workplace: Tenant): Promise<PlannedRestore> {
    const { pools, run } = this.#fleet;
    const chosen = this.#chosen.get(tenant)!;
    const earlier = this.#entries?.get(tenant.id) ?? null;
    const kind = tenant.schema === null ? 'database' : 'schema';
    const living = tenant.schema ?? tenant.database;
    const wanted = kind === 'schema' ? this.#options.toSchema : this.#options.toDatabase;
    const facts = await pools.use(workplace.server, workplace.database, async (session) => {
      await prepareReader(session, applicationName(run, tenant.id));
      return inspectTarget(session, chosen.manifest, {
        ...{ kind, living, target: wanted ?? living },
        ...{ major: serverMajor(this.#fleet, tenant), swaps: this.#options.swap },
      });
    });
    const way = this.#way(tenant, workplace, facts);
    if (this.#options.rows !== null) refuseGone(tenant, facts);
    else if (earlier === null) refuseLacking(chosen, way, facts, wanted);
    const { livingExists, outside } = facts;
    const restores = this.#options.rows === null && earlier === null;
    const rights = restores ? await readArchivedRights(this.#repository, chosen) : null;
    return {
      ...{ tenant, workplace, chosen, way, earlier, livingExists, outside, hooks: rights ?? {} },
      tables: await this.#tables(chosen),
      remarks: [
        ...chosen.remarks,
        ...chosen.manifest.remarks,
        ...(rights === null ? [] : [rightsRemark]),
        ...remarksOf(tenant, chosen, way, facts),
      ],
    };
  }

  /** Which partitions a table had, only its archive says. */
  async #tables({ backup, manifest }: ChosenBackup): Promise<readonly ArchivedTable[]> {
    const { rows } = this.#options;
    if (rows === null) return manifest.tables;
    const { entries } = await readTocOf(() => this.#repository.openArchive(backup));
    const wanted = rows.tables.map((text) => readTableName(text, manifest.place.schema));
    const archived = findArchivedRows(entries, wanted);
    return manifest.tables.filter((table) => {
      return archived.some(({ schema, name }) => schema === table.schema && name === table.name);
    });
  }

  #way(tenant: Tenant, workplace: Tenant, { livingExists }: TargetFacts): RestoreWay {
    const { toSchema, toDatabase, swap, allowOldNames, rows } = this.#options;
    const place = (kind: string) => placeName(kind, this.#fleet.run, this.#fleet.tenants.indexOf(tenant) + 1);
    const isSchema = tenant.schema !== null;
    const base = {
      parkedName: place(isSchema ? 'parked' : 'restore'),
      oldName: swap && livingExists ? place('old') : null,
    };
    const { server } = tenant;
    const isNamed = toSchema !== null || toDatabase !== null;
    const isHome = rows !== null || swap || !livingExists;
    const name = isHome ? (tenant.schema ?? tenant.database) : place('restore');
    const to: TenantPlace = isSchema
      ? { server, database: workplace.database, schema: toSchema ?? (isNamed ? tenant.schema : name) }
      : { server, database: toDatabase ?? name, schema: null };
    return { ...base, to, allowsOldNames: allowOldNames || (!isNamed && !isHome) };
  }
}

/** `tenantctl_restore_20261122t101500z_k3f9_1`: sorts by time, and discovery takes it for nobody's. */
export function placeName(kind: string, run: string, number: number): string {
  const words = run
    .toLowerCase()
    .replaceAll('-', '')
    .replace(/(?<=z)(?=[a-z0-9]+$)/, '_');
  return `tenantctl_${kind}_${words}_${number}`;
}

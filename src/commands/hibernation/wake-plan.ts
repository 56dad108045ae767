import { baseKey } from '../../backups/repository/names.ts';
import type { Repository } from '../../backups/repository/repository.ts';
import { inspectTarget } from '../../backups/restore/inspect-target.ts';
import { databaseExists, sessionRunner } from '../../backups/restore/sql-text.ts';
import type { Context } from '../../context.ts';
import { TenantError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Place } from '../../fleet/place.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { Receipt } from '../../hibernation/receipt.ts';
import type { Session } from '../../postgres/session.ts';
import { checkTenantTable, readTenantRow, type TenantRow } from '../../postgres/tenant-rows.ts';
import { applicationName, prepareReader } from '../../postgres/tenant-session.ts';
import { shellQuote } from '../../words.ts';
import { refuseLacking } from '../backups/restore-judge.ts';
import { type PlannedRestore, placeName } from '../backups/restore-plan.ts';
import { serverMajor } from '../backups/restore-tools.ts';
import { type Fleet, groupByPlace } from '../open-fleet.ts';
import { readFleet } from '../read-fleet.ts';
import { workplaceOf } from './change-sleepers.ts';

/** What is to be done to wake one tenant. */
export interface PlannedWake {
  readonly tenant: Tenant;
  readonly row: TenantRow;
  /** Null: nothing is restored; it never left its place. */
  readonly restore: PlannedRestore | null;
}

/** Reads what is known of sleeping tenants, finds their archives, and asks their servers; nothing is touched. */
export async function planWakes(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  repository: Repository | null,
): Promise<readonly Outcome<PlannedWake | null>[]> {
  const tenantOf = new Map(tenants.map((tenant) => [workplaceOf(fleet, tenant), tenant]));
  const places = groupByPlace([...tenantOf.keys()]).map(
    (group): Place<unknown, PlannedWake | null> => ({
      ...group,
      batches: () => group.tenants.map((tenant) => ({ tenants: [tenant] })),
      work: async (_scope, { tenants: [workplace] }, task) => {
        if (workplace === undefined) return;
        const tenant = tenantOf.get(workplace)!;
        const planned = await fleet.pools.use(workplace.server, workplace.database, async (session) => {
          await prepareReader(session, applicationName(fleet.run, tenant.id));
          return planWake(session, fleet, { tenant, workplace }, repository);
        });
        task.done(workplace, planned);
      },
    }),
  );
  const outcomes = await readFleet(context, fleet, 'looking', [...tenantOf.keys()], places);
  return outcomes.map((outcome) => ({ ...outcome, tenant: tenantOf.get(outcome.tenant) ?? outcome.tenant }));
}

interface Sleeper {
  readonly tenant: Tenant;
  readonly workplace: Tenant;
}

/** Null: it is awake by now. */
async function planWake(
  session: Session,
  fleet: Fleet,
  { tenant, workplace }: Sleeper,
  repository: Repository | null,
): Promise<PlannedWake | null> {
  const row = await readTenantRow(session, tenant);
  if (row === null) return null;
  await checkTenantTable(session);
  const receipt = row.receipt as Receipt | null;
  // What was never dropped needs no archive.
  const stands = row.state === 'hibernating' && (row.step !== 'dropping' || (await isThere(session, tenant)));
  if (receipt === null || repository === null || stands || row.step === 'behind') {
    return { tenant, row, restore: null };
  }
  const restore = await planRestore(fleet, { tenant, workplace }, receipt, repository);
  const [kind, living] =
    tenant.schema === null ? (['database', tenant.database] as const) : (['schema', tenant.schema] as const);
  const major = serverMajor(fleet, tenant);
  const { manifest } = restore.chosen;
  const facts = await inspectTarget(session, manifest, { kind, living, target: living, major, swaps: false });
  if (!facts.livingExists) refuseLacking(restore.chosen, restore.way, facts, null);
  return { tenant, row, restore: { ...restore, livingExists: facts.livingExists } };
}

/** A run may have been killed before or after it dropped the database. */
function isThere(session: Session, { database }: Tenant): Promise<boolean> {
  return databaseExists(sessionRunner(session), database);
}

/** To exactly where it was, from exactly the archive that its receipt names. */
async function planRestore(
  { run, tenants }: Fleet,
  { tenant, workplace }: Sleeper,
  { backup: { store, time, sha256 } }: Receipt,
  repository: Repository,
): Promise<PlannedRestore> {
  const backup = await repository.findBackup(baseKey({ kind: 'tenant', tenant: tenant.id }, time));
  const manifest = backup?.manifest ?? null;
  if (backup === null || manifest === null || backup.state !== 'complete') {
    throw new TenantError({
      message: `its archive of ${time} is not in ${repository.name}${backup?.problem ? `: ${backup.problem}` : ''}`,
      code: 'archive-missing',
      hint: store === repository.name ? 'look for it: tenantctl backups list' : `it was kept in ${store}: --store`,
    });
  }
  if (manifest.archive.sha256 !== sha256) {
    throw new TenantError({
      message: `the archive of ${time} in ${repository.name} is not the one that its receipt names: its sha256 is another`,
      code: 'archive-damaged',
      hint: `look at it: tenantctl verify -t ${shellQuote(tenant.id)}`,
    });
  }
  const { server, database, schema } = tenant;
  const parkedName = placeName(schema === null ? 'restore' : 'parked', run, tenants.indexOf(tenant) + 1);
  return {
    ...{
      tenant,
      workplace,
      chosen: { backup, manifest, remarks: [] },
      livingExists: false,
      outside: [],
      earlier: null,
      hooks: {},
    },
    way: { to: { server, database, schema }, oldName: null, parkedName, allowsOldNames: true },
    tables: manifest.tables,
    remarks: [],
  };
}

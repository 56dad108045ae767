import type { Context } from '../../context.ts';
import { RefusedError, StoppedError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Place } from '../../fleet/place.ts';
import { type Tenant, tenantSchema } from '../../fleet/tenant.ts';
import type { Comparison } from '../../migrations/baseline.ts';
import { type BuiltStructure, buildStructure, whyNotTried } from '../../migrations/baseline-build.ts';
import { missingSchema } from '../../migrations/change-tenant.ts';
import type { Migration, MigrationFolder } from '../../migrations/folder.ts';
import { Inspector } from '../../migrations/inspection.ts';
import { type BuildMigration, loadJavaScript } from '../../migrations/javascript.ts';
import { loadParser } from '../../migrations/statements.ts';
import { type Reference, StructureSurveyor } from '../../migrations/structure-survey.ts';
import { takeTenant } from '../../migrations/take-tenant.ts';
import { applicationName, prepareReader } from '../../postgres/tenant-session.ts';
import { changeTenants } from '../change-tenants.ts';
import { type Fleet, groupByPlace } from '../open-fleet.ts';
import { readFleet, withoutTenants } from '../read-fleet.ts';
import { BuildSites } from './baseline-sites.ts';
import type { MigrationOptions } from './migration-options.ts';

/** Tenants that one session describes before another one gets its turn. */
const tenantsPerBatch = 100;

/** Compares each tenant with what the migrations build in its place; nothing of what is built stays. */
export async function compareTenants(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  migrations: readonly Migration[],
  folder: MigrationFolder,
  options: MigrationOptions,
): Promise<Outcome<Comparison>[]> {
  // What becomes of a schema that is built for a moment is no outcome of the command.
  const quiet: Context = { ...context, emit: withoutTenants(context.emit) };
  const sites = new BuildSites(fleet, tenants, context.emit);
  try {
    const references = await buildReferences(quiet, fleet, sites, migrations, folder, options);
    if (context.interrupts.stop.aborted) throw new StoppedError('stopped before anything was recorded');
    return await readTenants(quiet, fleet, tenants, (tenant) => {
      const site = sites.of(tenant);
      return references.get(site) ?? { because: sites.problem(site) ?? 'nothing was built' };
    });
  } finally {
    await sites.close();
  }
}

/** Runs the migrations once in each database of tenants that are schemas, once on each server for those with their own. */
async function buildReferences(
  context: Context,
  fleet: Fleet,
  sites: BuildSites,
  migrations: readonly Migration[],
  folder: MigrationFolder,
  options: MigrationOptions,
): Promise<Map<Tenant, Reference>> {
  const inspector = new Inspector(migrations.some(({ kind }) => kind === 'sql') ? await loadParser() : () => null);
  const references = new Map<Tenant, Reference>();
  const build = await loadBuilder(migrations, folder);
  const open: Tenant[] = [];
  for (const site of sites.all) {
    const because = typeof build === 'string' ? build : whyNot(site, migrations, inspector, options.dryRun);
    if (because !== null) references.set(site, { because });
    else if (await sites.open(site)) open.push(site);
  }
  if (typeof build === 'string' || open.length === 0) return references;
  const built = await changeTenants<BuiltStructure>(
    context,
    fleet,
    {
      phase: 'trying out the migrations',
      tenants: open,
      change: async (session, site, take) => {
        await takeTenant(session, site, take);
        return buildStructure(session, sites.describe(site), migrations, build, take);
      },
    },
    { ...options, maxFailures: null, maxSameCause: null, canary: null },
  );
  for (const outcome of built) references.set(outcome.tenant, toReference(outcome));
  return references;
}

/** Why nothing is tried out there; null: it can be. */
function whyNot(
  site: Tenant,
  migrations: readonly Migration[],
  inspector: Inspector,
  isDryRun: boolean,
): string | null {
  const reason = whyNotTried(migrations, inspector, site.schema === null);
  if (reason !== null || !isDryRun || site.schema !== null) return reason;
  return 'a dry run makes no database to try them out in';
}

function toReference(outcome: Outcome<BuiltStructure>): Reference {
  if (outcome.status === 'done') return outcome.value;
  const error = 'error' in outcome ? outcome.error : undefined;
  return { because: error === undefined ? 'the migrations were not tried out' : error.message };
}

/** A text: why files in JavaScript cannot be used. */
async function loadBuilder(
  migrations: readonly Migration[],
  folder: MigrationFolder,
): Promise<BuildMigration | string> {
  if (migrations.every(({ kind }) => kind === 'sql')) return async () => ({ steps: [], usesTransaction: true });
  try {
    return await loadJavaScript(folder);
  } catch (error) {
    if (error instanceof RefusedError) return error.message;
    throw error;
  }
}

async function readTenants(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  referenceOf: (tenant: Tenant) => Reference,
): Promise<Outcome<Comparison>[]> {
  const surveyor = new StructureSurveyor();
  const name = applicationName(fleet.run, 'compare');
  const places = groupByPlace(tenants).map(
    (group): Place<unknown, Comparison> => ({
      ...group,
      batches: () => cut(group.tenants).map((some) => ({ tenants: some })),
      work: (_scope, batch, task) =>
        fleet.pools.use(group.server, group.database, async (session) => {
          const [first] = batch.tenants;
          if (first === undefined) return;
          await prepareReader(session, name);
          const found = await surveyor.compare(session, batch.tenants.map(tenantSchema), referenceOf(first));
          for (const tenant of batch.tenants) {
            const comparison = found.get(tenantSchema(tenant));
            if (comparison === undefined) task.failed(tenant, missingSchema(tenant));
            else task.done(tenant, comparison);
          }
        }),
    }),
  );
  return readFleet(context, fleet, 'comparing schemas', tenants, places);
}

function cut(tenants: readonly Tenant[]): Tenant[][] {
  const batches: Tenant[][] = [];
  for (let start = 0; start < tenants.length; start += tenantsPerBatch) {
    batches.push(tenants.slice(start, start + tenantsPerBatch));
  }
  return batches;
}

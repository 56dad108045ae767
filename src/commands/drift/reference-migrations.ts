import type { Context } from '../../context.ts';
import type { ScannedTenant } from '../../drift/group.ts';
import type { NotHeld, Reference } from '../../drift/reference.ts';
import { UsageError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { type Migration, type MigrationFolder, readFolder } from '../../migrations/folder.ts';
import type { Survey } from '../../migrations/survey.ts';
import { listNames } from '../../words.ts';
import { surveyTenants } from '../migrate/survey-fleet.ts';
import type { Fleet } from '../open-fleet.ts';
import type { Built, MigrationSet } from './build-chain.ts';
import { buildFacts } from './build-facts.ts';

/** What tenants of one kind are built from, by the set of migrations that they have. */
interface Site {
  readonly sets: Map<string, MigrationSet>;
  readonly members: ScannedTenant[];
}

/** The inventory's migrations folder; a mistake when there is none. */
export function migrationsOf(context: Context, { inventory }: Fleet): MigrationFolder {
  if (inventory.migrations !== null) return readFolder(inventory.migrations, context.cwd);
  throw new UsageError(`${inventory.file} names no migrations folder`, {
    hint: 'add `migrations: ./migrations`, or compare with something else: --against majority',
  });
}

/**
 * Each tenant held to what the migrations that it has had build, as the folder has them now. One that has had others than
 * the folder's is held to nothing.
 */
export async function migrationsReference(
  context: Context,
  fleet: Fleet,
  scanned: readonly ScannedTenant[],
): Promise<Reference> {
  const folder = migrationsOf(context, fleet);
  const { outcomes } = await surveyTenants(
    context,
    fleet,
    folder,
    scanned.map(({ tenant }) => tenant),
  );
  const standings = new Map(outcomes.map((outcome) => [outcome.tenant, readStanding(outcome, folder)]));
  const sites = new Map<string, Site>();
  for (const each of scanned) {
    const standing = standings.get(each.tenant);
    if (standing === undefined || 'why' in standing) continue;
    const site: Site = sites.get(siteKey(fleet, each)) ?? { sets: new Map(), members: [] };
    sites.set(siteKey(fleet, each), site);
    site.members.push(each);
    site.sets.set(setKey(standing), standing);
  }
  const built = new Map<string, Built>();
  for (const [key, { sets, members }] of sites) {
    const found = await buildFacts(context, fleet, folder, chooseModel(members), [...sets.values()]);
    for (const [set, facts] of found) built.set(`${key} ${setKey(set)}`, facts);
  }
  return {
    name: 'migrations',
    notes: [],
    factsFor: (each) => {
      const standing = standings.get(each.tenant) ?? { why: 'its history was not read' };
      if ('why' in standing) return standing;
      const key = `${siteKey(fleet, each)} ${setKey(standing)}`;
      const facts = built.get(key) ?? { why: 'the migrations were not built' };
      return 'why' in facts ? facts : { key: `migrations ${key}`, facts: async () => facts };
    },
  };
}

/** The migrations that a tenant has had, or why the folder cannot build it. */
function readStanding(outcome: Outcome<Survey>, { migrations }: MigrationFolder): MigrationSet | NotHeld {
  if (outcome.status !== 'done') {
    const error = 'error' in outcome ? outcome.error : undefined;
    return { why: `its history could not be read: ${error?.message ?? 'stopped'}` };
  }
  const { applied, ahead } = outcome.value.standing;
  if (ahead.length > 0) {
    return {
      why: `it has migrations that the folder lacks: ${listNames(ahead)}`,
      hint: 'compare from the branch or release that has them, or with --against majority',
    };
  }
  const names = new Set(applied.map(({ name }) => name));
  return migrations.filter(({ name }) => names.has(name));
}

/**
 * A schema and a database are built differently: files may say `public.`. Without a role of the tenant's own, what is
 * made belongs to the login role, and servers may have different ones.
 */
function siteKey({ servers }: Fleet, { tenant, shape }: ScannedTenant): string {
  const { schema, role, server, database } = tenant;
  const owner = role === null ? `login ${servers.settings(server, database).user}` : 'role';
  return JSON.stringify([shape.major, schema === null ? 'databases' : 'schemas', owner]);
}

function setKey(set: MigrationSet): string {
  return JSON.stringify(set.map(({ name }: Migration) => name));
}

/** One of the commonest shape: what its schema was given before the first migration is what most have. */
function chooseModel(members: readonly ScannedTenant[]): Tenant {
  const shapes = [...Map.groupBy(members, ({ shape }) => shape.shape).values()];
  const [commonest = []] = shapes.toSorted((a, b) => b.length - a.length);
  const [first] = commonest;
  if (first === undefined) throw new Error('a model of nobody');
  return first.tenant;
}

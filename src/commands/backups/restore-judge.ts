import type { ChosenBackup } from '../../backups/restore/choose-backup.ts';
import type { TargetFacts } from '../../backups/restore/inspect-target.ts';
import type { RestoreWay, TenantPlace } from '../../backups/restore/restore-types.ts';
import { TenantError } from '../../errors.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { quoteIdentifier } from '../../postgres/identifiers.ts';
import { listNames } from '../../words.ts';

/** Rows go only to who lives. */
export function refuseGone(tenant: Tenant, { livingExists }: TargetFacts): void {
  if (livingExists) return;
  throw new TenantError({
    message: `there is no ${tenant.schema === null ? 'database' : 'schema'} ${JSON.stringify(tenant.schema ?? tenant.database)} whose tables could get rows`,
    code: 'no-tenant',
    hint: 'restore all of it: without --data-only',
  });
}

/** What an archive cannot bring along and cannot do without. */
export function refuseLacking(
  { manifest }: ChosenBackup,
  way: RestoreWay,
  facts: TargetFacts,
  wanted: string | null,
): void {
  const { missingRoles, missingExtensions } = facts;
  if (missingRoles.length > 0) {
    throw new TenantError({
      message: `the server lacks ${missingRoles.length === 1 ? 'a role' : 'roles'} that the archive names: ${listNames(missingRoles, 10)}`,
      code: 'roles-missing',
      hint:
        manifest.needs.rolesFile === null
          ? 'create them'
          : `create them; ${manifest.needs.rolesFile} of the store says how`,
    });
  }
  refuseOwnExtensions(manifest.needs.extensions, manifest.place);
  if (missingExtensions.length > 0) {
    const place = way.to.schema === null ? `server ${way.to.server}` : `database ${way.to.database}`;
    const needed = manifest.needs.extensions.filter(({ name }) => missingExtensions.includes(name));
    throw new TenantError({
      message: `${place} lacks what the archive needs: ${listNames(
        needed.map(({ name, version }) => `extension ${name} (${version})`),
        10,
      )}`,
      code: 'extensions-missing',
      hint:
        way.to.schema === null
          ? 'install it on the server'
          : needed.map(({ name, schema }) => `CREATE EXTENSION "${name}" SCHEMA "${schema}"`).join('; '),
    });
  }
  if (wanted === null || !facts.targetExists) return;
  const what = way.to.schema === null ? 'database' : 'schema';
  throw new TenantError({
    message: `${what} ${JSON.stringify(wanted)} is there already`,
    code: 'target-exists',
    hint: `name another one with --to-${what}; to put the living one aside for the backup: --swap`,
  });
}

/** An archive of a schema makes the schema and cannot make an extension in it before its tables. */
function refuseOwnExtensions(
  extensions: ChosenBackup['manifest']['needs']['extensions'],
  { schema }: TenantPlace,
): void {
  const own = extensions.filter((extension) => schema !== null && extension.schema === schema);
  if (own.length === 0) return;
  const names = own.map(({ name }) => name);
  throw new TenantError({
    message: `${own.length === 1 ? 'an extension stands' : 'extensions stand'} in the tenant's own schema, which no archive can bring back: ${listNames(names, 10)}`,
    code: 'extension-in-schema',
    hint: `nothing was touched; restore this one by hand (docs/commands/restore.md), and for the next: ${names
      .map((name) => `ALTER EXTENSION ${quoteIdentifier(name)} SET SCHEMA …`)
      .join('; ')}`,
  });
}

/** What is true and no failure, a line each: what an archive cannot carry, and where else it comes from. */
export function remarksOf(
  tenant: Tenant,
  { manifest }: ChosenBackup,
  way: RestoreWay,
  facts: TargetFacts,
): readonly string[] {
  const { outside, eventTriggers } = facts;
  return [
    ...placeRemark(tenant, manifest.place),
    ...(manifest.needs.largeObjects === null
      ? []
      : [`large objects are in ${manifest.needs.largeObjects}, of all tenants`]),
    ...publicationRemark(facts),
    ...(way.oldName !== null && outside.length > 0
      ? [`these go on to refer to the old one: ${listNames(outside, 5)}`]
      : []),
    ...(eventTriggers.length === 0 ? [] : [`event triggers run while it is restored: ${listNames(eventTriggers, 5)}`]),
  ];
}

function placeRemark({ server, database, schema }: Tenant, from: TenantPlace): readonly string[] {
  if (server === from.server && database === from.database && schema === from.schema) return [];
  return [
    `it was backed up at another place than it has now: ${placeText(from)}, and now ${placeText({ server, database, schema })}`,
  ];
}

function placeText({ server, database, schema }: TenantPlace): string {
  return `${server}/${database}${schema === null ? '' : `, schema ${schema}`}`;
}

function publicationRemark({ publications, livingExists }: TargetFacts): readonly string[] {
  if (publications.length === 0) return [];
  const names = listNames(publications, 5);
  return livingExists
    ? [`no restored table is in a publication; the living ones are in ${names}`]
    : [`no restored table is in a publication; whether they were in ${names} is not known`];
}

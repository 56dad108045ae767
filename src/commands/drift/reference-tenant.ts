import type { Context } from '../../context.ts';
import type { FactSet } from '../../drift/fact.ts';
import type { ScannedTenant } from '../../drift/group.ts';
import type { NotHeld, Reference } from '../../drift/reference.ts';
import { StoppedError, TenantError, UsageError } from '../../errors.ts';
import { noSelection } from '../../fleet/selection.ts';
import { type Tenant, tenantSchema } from '../../fleet/tenant.ts';
import { toFailure } from '../../postgres/failure.ts';
import { plural } from '../../words.ts';
import { type Fleet, groupByPlace, withFleet } from '../open-fleet.ts';
import { leftAlone } from '../rejected.ts';
import { readTenantFacts } from './scan-fleet.ts';

/** All tenants of one PostgreSQL major held to one tenant, selected or not. */
export async function tenantReference(
  context: Context,
  fleet: Fleet,
  id: string,
  scanned: readonly ScannedTenant[],
): Promise<Reference> {
  const facts = await readById(context, fleet, id);
  const own = scanned.find(({ tenant }) => tenant.id === id);
  const others = scanned.filter(({ shape }) => own !== undefined && shape.version !== own.shape.version);
  return {
    name: `tenant:${id}`,
    notes:
      own === undefined || others.length === 0
        ? []
        : [
            `${plural(others.length, 'tenant')} ${others.length === 1 ? 'stands' : 'stand'} at another migration than ` +
              `${id}, which is at ${own.shape.version ?? 'none'}: that shows as drift`,
          ],
    factsFor: ({ shape: { major } }) => {
      if (major === facts.major) return { key: `tenant ${id}`, facts: async () => facts };
      return otherMajor(`tenant ${id}`, facts.major, major);
    },
  };
}

/** One that is not selected is looked for as a selection of its own. */
async function readById(context: Context, fleet: Fleet, id: string): Promise<FactSet> {
  const selected = fleet.tenants.find((tenant) => tenant.id === id);
  if (selected !== undefined) return readTenantFacts(context, fleet, selected);
  const selection = { ...noSelection, tenants: [id], allowEmpty: true };
  const { file } = fleet.inventory;
  const nothing = { fromRun: null, limits: {}, timeoutMs: null, skipUnreachable: true, writesNothing: true };
  // What there is to say of the inventory and its servers was said already.
  return withFleet(
    { ...context, emit: () => {} },
    { ...nothing, config: file, selection, mode: 'read' },
    async (beside) => {
      const rejected = beside.rejected.find(({ tenant }) => tenant.id === id);
      if (rejected?.status === 'failed') throw new TenantError(rejected.error);
      if (rejected?.status === 'skipped') throw leftAlone(rejected);
      const found = beside.tenants.find((tenant) => tenant.id === id);
      if (found !== undefined) return readTenantFacts(context, beside, found);
      throw new UsageError(`no tenant to compare with is called ${JSON.stringify(id)}`, {
        hint: '`tenantctl tenants list --all` shows all ids',
      });
    },
  );
}

/**
 * Each tenant held to a schema of its own database: a template. Where it is not there, there is nothing to hold the
 * tenants of that database to.
 */
export async function schemaReference(
  context: Context,
  fleet: Fleet,
  schema: string,
  scanned: readonly ScannedTenant[],
): Promise<Reference> {
  const found = new Map<string, FactSet | NotHeld>();
  for (const { server, database, tenants } of groupByPlace(scanned.map(({ tenant }) => tenant))) {
    const [beside] = tenants;
    if (beside === undefined) continue;
    const facts = await readSchema(context, fleet, standInFor(beside, schema));
    found.set(JSON.stringify([server, database]), facts);
  }
  return {
    name: `schema:${schema}`,
    notes: [],
    factsFor: ({ tenant: { server, database } }) => {
      const place = JSON.stringify([server, database]);
      const facts = found.get(place) ?? { why: `schema ${JSON.stringify(schema)} was not read` };
      return 'why' in facts ? facts : { key: `schema ${schema} ${place}`, facts: async () => facts };
    },
  };
}

async function readSchema(context: Context, fleet: Fleet, template: Tenant): Promise<FactSet | NotHeld> {
  try {
    return await readTenantFacts(context, fleet, template);
  } catch (error) {
    if (context.interrupts.stop.aborted) throw new StoppedError('stopped before anything was compared');
    const { message, code } = toFailure(error);
    const isMissing = code === 'schema-missing';
    const where = `schema ${JSON.stringify(tenantSchema(template))}`;
    return {
      why: isMissing ? `database ${template.database} has no ${where}` : `${where} could not be read: ${message}`,
      ...(isMissing ? { hint: 'leave those tenants out, or compare with --against majority' } : {}),
    };
  }
}

/** Read like a tenant: its own name is left out of what is read, as that of a tenant is. */
function standInFor({ server, database, searchPath, schema: own, role }: Tenant, schema: string): Tenant {
  const path = [schema, ...searchPath.filter((each) => each !== own && each !== schema)];
  return { id: schema, server, database, schema, labels: {}, searchPath: path, role };
}

function otherMajor(what: string, theirs: number, own: number): NotHeld {
  return {
    why: `${what} is on PostgreSQL ${theirs}, and this tenant is on PostgreSQL ${own}: their definitions are not comparable`,
    hint: 'name a tenant on the same major version, or use --against majority',
  };
}

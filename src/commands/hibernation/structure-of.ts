import { createHash } from 'node:crypto';
import { hashSchemas, mapSchemas } from '../../drift/hash-schemas.ts';
import { ownNames } from '../../drift/scan-batch.ts';
import { snapshotFormat } from '../../drift/snapshot-text.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { Structure } from '../../hibernation/receipt.ts';
import type { Session } from '../../postgres/session.ts';
import { sql } from '../../postgres/sql.ts';

/** The fingerprint of one schema, in the caller's transaction, whose printing settings it changes. */
export type StructureReader = (session: Session, schema: string) => Promise<Structure>;

/** How the structure of a tenant is read: rights, comments and owners are part of it, rows and sequences are not. */
export function structureReader(tenant: Tenant): StructureReader {
  return async (session, schema) => sumOf(await readShapes(session, tenant, [schema]));
}

/** The fingerprint of all schemas of a database of the tenant's own, in the caller's transaction. */
export async function structureOfDatabase(session: Session, tenant: Tenant): Promise<Structure> {
  const rows = await session.query<{ name: string }>(sql`
    SELECT nspname::text AS name FROM pg_catalog.pg_namespace
     WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
       AND nspname <> 'tenantctl' AND nspname NOT LIKE 'tenantctl\\_%'
     ORDER BY nspname COLLATE "C"`);
  const names = rows.map(({ name }) => name);
  return sumOf(await readShapes(session, tenant, names));
}

interface Shapes {
  readonly major: number;
  /** By schema, in order. */
  readonly shapes: readonly (readonly [schema: string, shape: string])[];
}

async function readShapes(session: Session, tenant: Tenant, schemas: readonly string[]): Promise<Shapes> {
  const mapped = await mapSchemas(session, schemas);
  const own = ownNames(tenant);
  const hashed = await hashSchemas(session, [...mapped.values()], (schema) => ({ ...own, schema }));
  const shapes = schemas.flatMap((schema) => {
    const found = hashed.get(schema);
    return found === undefined ? [] : [[schema, found.shape] as const];
  });
  return { major: [...mapped.values()][0]?.major ?? 0, shapes };
}

function sumOf({ major, shapes }: Shapes): Structure {
  const [only] = shapes;
  if (shapes.length === 1 && only !== undefined) return { format: snapshotFormat, major, shape: only[1] };
  const text = shapes.map(([schema, shape]) => JSON.stringify([schema, shape])).join('\n');
  return { format: snapshotFormat, major, shape: createHash('sha256').update(text).digest('hex').slice(0, 32) };
}

/** What speaks against calling two structures equal: null when they are; `unknown` when they cannot be compared. */
export function compareStructures(before: Structure, after: Structure): 'differs' | 'unknown' | null {
  if (before.format !== after.format || before.major !== after.major) return 'unknown';
  return before.shape === after.shape ? null : 'differs';
}

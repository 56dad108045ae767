import type { Place } from '../fleet/place.ts';
import { type Tenant, tenantSchema } from '../fleet/tenant.ts';
import type { Session } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';
import { prepareReader } from '../postgres/tenant-session.ts';
import type { PlaceAccess } from './scan-place.ts';
import { giveWay, readStates, readVersions } from './standing.sql.ts';
import { type ClusterIdentity, readIdentity, readWatermarks } from './watermark.sql.ts';

/** Tenants whose histories one statement reads. */
const tenantsPerBatch = 250;

/** Where a tenant stands, without its facts; equal ones of one cluster have equal facts. */
export interface TenantMark {
  /** Null: this server does not tell who it is, so that nothing can be remembered of it. */
  readonly cluster: ClusterIdentity | null;
  readonly mark: string;
  readonly version: string | null;
}

interface Scope {
  readonly cluster: ClusterIdentity | null;
  readonly marks: ReadonlyMap<string, string>;
}

/**
 * Reads how far the catalogue of one database has come. A tenant that it has no word on (gone, locked, not to be looked
 * into) fails here, and whoever scans it says why.
 */
export function watchPlace(place: PlaceAccess): Place<unknown, TenantMark> {
  const { server, database, tenants } = place;
  const use = <T>(work: (session: Session) => Promise<T>) =>
    place.pools.use(server, database, async (session) => {
      const [, result] = await Promise.all([prepareReader(session, place.applicationName), work(session)]);
      return result;
    });
  return {
    server,
    database,
    tenants,
    open: () => use((session) => readScope(session, tenants.map(tenantSchema))),
    batches: () => {
      const count = Math.ceil(tenants.length / tenantsPerBatch);
      return Array.from({ length: count }, (_, index) => {
        return { tenants: tenants.slice(index * tenantsPerBatch, (index + 1) * tenantsPerBatch) };
      });
    },
    work: async (scope, batch, task) => {
      const { cluster, marks } = scope as Scope;
      const versions = await use((session) => readStanding(session, batch.tenants, place.historyTable));
      for (const tenant of batch.tenants) {
        const mark = marks.get(tenantSchema(tenant));
        const version = versions.get(tenantSchema(tenant));
        if (mark === undefined || version === undefined) task.failed(tenant, new Error('the schema is not to be seen'));
        else task.done(tenant, { cluster, mark, version });
      }
    },
  };
}

async function readScope(session: Session, schemas: readonly string[]): Promise<Scope> {
  const [row] = await session.query<{ version: number }>(
    sql`SELECT pg_catalog.current_setting('server_version_num')::int AS version`,
  );
  const major = Math.floor((row?.version ?? 0) / 10_000);
  const [cluster, marks] = await Promise.all([readIdentity(session), readWatermarks(session, schemas, major)]);
  return { cluster, marks };
}

/** A history that cannot be read fails all of them; they are halved until it stands alone. */
async function readStanding(
  session: Session,
  tenants: readonly Tenant[],
  historyTable: string,
): Promise<ReadonlyMap<string, string | null>> {
  const [, states] = await Promise.all([
    giveWay(session),
    readStates(session, tenants.map(tenantSchema), historyTable),
  ]);
  const usable = [...states.values()].filter(({ isUsable }) => isUsable);
  return readVersions(session, usable, historyTable);
}

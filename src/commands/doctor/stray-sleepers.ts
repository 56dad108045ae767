import type { StraySleepers } from '../../diagnosis/check-sleepers.ts';
import { readTenantRows } from '../../postgres/tenant-rows.ts';
import { prepareReader } from '../../postgres/tenant-session.ts';
import type { Fleet } from '../open-fleet.ts';

/** Every server has it, and an inventory often names it. */
const usualHome = 'postgres';

/**
 * Databases in which it is written that whole databases sleep, beside the one that the `url` names: an inventory with another
 * url has put them to sleep. Looks where tenants live, and in `postgres`; what cannot be read is told by others.
 */
export async function findStraySleepers(fleet: Fleet, server: string, name: string): Promise<readonly StraySleepers[]> {
  const inUse = fleet.selected.filter((tenant) => tenant.server === server).map(({ database }) => database);
  const databases = new Set([...inUse, usualHome]);
  databases.delete(fleet.servers.homeDatabase(server));
  const found = await Promise.all([...databases].map((database) => lookInto(fleet, { server, database }, name)));
  return found.flatMap((each) => (each.tenants.length === 0 ? [] : [each])).toSorted(byDatabase);
}

async function lookInto(
  fleet: Fleet,
  { server, database }: { readonly server: string; readonly database: string },
  name: string,
): Promise<StraySleepers> {
  try {
    return await fleet.pools.use(server, database, async (session) => {
      await prepareReader(session, name);
      const rows = await readTenantRows(session);
      return { database, tenants: rows.flatMap((row) => (row.schema === null ? [row.tenant] : [])).toSorted() };
    });
  } catch {
    return { database, tenants: [] };
  }
}

function byDatabase(a: StraySleepers, b: StraySleepers): number {
  return a.database < b.database ? -1 : 1;
}

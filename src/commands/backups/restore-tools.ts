import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context } from '../../context.ts';
import { RefusedError } from '../../errors.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { ClientTools } from '../../postgres/local/client-tools.ts';
import { requireClientTools } from '../../postgres/local/require-client-tools.ts';
import { majorOf, majorOfText } from '../../postgres/server-version.ts';
import type { Fleet } from '../open-fleet.ts';
import type { PlannedRestore } from './restore-plan.ts';

export type ToolsFor = (planned: PlannedRestore) => ClientTools;

/** Finds the programs for each pair of archive and server; refuses (5) before anything is touched when some are missing. */
export async function requireTools(
  context: Context,
  fleet: Fleet,
  planned: readonly PlannedRestore[],
): Promise<ToolsFor> {
  // pg_restore reads archives of its own major and of older ones.
  const majorFor = ({ tenant, chosen }: PlannedRestore) => {
    return Math.max(serverMajor(fleet, tenant), majorOfText(chosen.manifest.versions.dump));
  };
  const tools = new Map<number, ClientTools>();
  for (const major of new Set(planned.map(majorFor))) {
    const found = await requireClientTools(major, context.env);
    await access(join(found.binDir, 'psql')).catch((cause: unknown) => {
      throw new RefusedError(`there is no psql beside pg_restore in ${found.binDir}`, {
        hint: 'install all of the client package, or name another folder: TENANTCTL_PG_BIN',
        cause,
      });
    });
    tools.set(major, found);
  }
  return (plan) => tools.get(majorFor(plan))!;
}

export function serverMajor({ servers }: Fleet, { server }: Tenant): number {
  return majorOf(servers.facts(server)?.versionNum ?? 0);
}

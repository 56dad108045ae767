import type { ServerConfig } from '../../fleet/inventory/types.ts';
import type { TenantSleep } from '../../fleet/tenant-state.ts';
import { readServerStates } from '../../hibernation/rds/server-states.ts';
import { type RdsAccess, RdsClients } from './rds-clients.ts';

/** Which of these servers sleep as a whole, by their id. Asks AWS, one request a region, and connects to none of them. */
export async function readServersAsleep(
  servers: readonly ServerConfig[],
  access: RdsAccess,
): Promise<ReadonlyMap<string, TenantSleep>> {
  await using clients = new RdsClients(access);
  const states = await readServerStates(servers, (server) => clients.of(server));
  return new Map([...states].flatMap(([id, { sleep }]) => (sleep === null ? [] : [[id, sleep] as const])));
}

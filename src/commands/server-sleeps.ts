import type { Context } from '../context.ts';
import type { DiscoverEntry, Inventory, ServerConfig } from '../fleet/inventory/types.ts';
import type { Selection } from '../fleet/selection.ts';
import type { TenantSleep } from '../fleet/tenant-state.ts';
import type { SourceReport } from '../output/result.ts';
import { toFailure } from '../postgres/failure.ts';
import { sleepWords } from './sleep-words.ts';

/** Servers that were put to sleep as a whole, by their id. */
export type ServerSleeps = ReadonlyMap<string, TenantSleep>;

/**
 * Asks AWS, for those of the servers in question that are at RDS: a stopped one takes no connection, and a paused one would
 * be woken by it. Where AWS cannot be asked that is said, and they count as awake.
 */
export async function askServerSleeps(
  context: Context,
  inventory: Inventory,
  selection: Selection,
  profile: string | null,
): Promise<ServerSleeps> {
  const servers = serversInQuestion(inventory, selection).filter(({ rds }) => rds !== null);
  if (servers.length === 0) return new Map();
  // Loaded here: most fleets have no server at RDS.
  const { readServersAsleep } = await import('./hibernation/servers-asleep.ts');
  try {
    return await readServersAsleep(servers, { profile, env: context.env });
  } catch (error) {
    const { message, hint } = toFailure(error);
    context.emit({
      type: 'notice',
      level: 'warning',
      message: `aws cannot be asked which servers sleep: ${message}`,
      ...(hint === undefined ? {} : { hint }),
    });
    return new Map();
  }
}

/** Those on which a selected tenant may live. */
function serversInQuestion({ servers, tenants, discover }: Inventory, selection: Selection): readonly ServerConfig[] {
  const isNamed = (id: string) => selection.servers.length === 0 || selection.servers.includes(id);
  // The rows of a query may live anywhere.
  const anywhere = discover.some(({ kind }) => kind === 'query');
  const used = new Set([...tenants, ...discover].map(({ server }) => server));
  return [...servers.values()].filter(({ id }) => isNamed(id) && (anywhere || used.has(id)));
}

/** What discovery does not find because its server sleeps: that is known, and no fault of the run. */
export function sleepingSources(entries: readonly DiscoverEntry[], asleep: ServerSleeps): readonly SourceReport[] {
  const servers = new Set(entries.map(({ server }) => server));
  return [...asleep].flatMap(([server, sleep]) => {
    if (!servers.has(server)) return [];
    const error = {
      message: `it is ${sleepWords(sleep)}, so nobody can look for tenants there`,
      code: 'hibernated',
      hint: `wake it: tenantctl wake --server ${server}`,
    };
    return [{ server, database: null, error, hibernated: true }];
  });
}

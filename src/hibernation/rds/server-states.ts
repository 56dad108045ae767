import type { RdsApi } from '../../aws/rds-api.ts';
import { type RdsTarget, targetKey } from '../../aws/rds-state.ts';
import type { TenantSleep } from '../../fleet/tenant-state.ts';
import { sleepingServer } from './sleep-tags.ts';

/** What AWS says of a server of the inventory. */
export interface SleepingServer extends RdsTarget {
  /** Key of `servers`. */
  readonly server: string;
  /** AWS's own word: `available`, `stopped`, … */
  readonly status: string;
  /** When AWS will start it by itself. */
  readonly automaticRestartAt: Date | null;
  /** How often it did, and was stopped again. */
  readonly restarts: number;
  /** Null: nobody put it to sleep. */
  readonly sleep: TenantSleep | null;
}

/** Structurally a server of the inventory. */
export interface RdsServerConfig {
  readonly id: string;
  readonly rds: { readonly instance?: string; readonly cluster?: string } | null;
}

/** How the RDS API names a server; null: the inventory does not say that it is one of RDS. */
export function targetOf({ rds }: RdsServerConfig): RdsTarget | null {
  if (rds?.cluster !== undefined) return { kind: 'cluster', id: rds.cluster };
  return rds?.instance === undefined ? null : { kind: 'instance', id: rds.instance };
}

/**
 * Where the servers that are at RDS stand, by their id in the inventory; one that AWS does not know is missing. One batched request
 * a region. Opens no connection to any server: that would keep a paused one awake. `clientFor` gives the same client
 * for servers of one region.
 */
export async function readServerStates<S extends RdsServerConfig>(
  servers: Iterable<S>,
  clientFor: (server: S) => Promise<RdsApi>,
): Promise<ReadonlyMap<string, SleepingServer>> {
  const byClient = new Map<RdsApi, { readonly server: S; readonly target: RdsTarget }[]>();
  for (const server of servers) {
    const target = targetOf(server);
    if (target === null) continue;
    const client = await clientFor(server);
    byClient.set(client, [...(byClient.get(client) ?? []), { server, target }]);
  }
  const answers = await Promise.all(
    [...byClient].map(async ([client, group]) => {
      const states = await client.describe(group.map(({ target }) => target));
      return group.flatMap(({ server, target }) => {
        const state = states.get(targetKey(target));
        return state === undefined ? [] : [sleepingServer(server.id, state)];
      });
    }),
  );
  return new Map(answers.flat().map((server) => [server.server, server]));
}

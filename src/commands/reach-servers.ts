import { type Failure, RefusedError } from '../errors.ts';
import type { Tenant } from '../fleet/tenant.ts';
import type { SourceReport } from '../output/result.ts';
import { errorKind, isRefusedLogin } from '../postgres/failure.ts';
import type { FindOptions, FleetAccess } from './find-tenants.ts';

/** Makes sure that each server was asked about itself before the work begins; returns those that are down. */
export async function reachServers(tenants: readonly Tenant[], access: FleetAccess): Promise<readonly SourceReport[]> {
  const databases = new Map<string, Set<string>>();
  for (const { server, database } of tenants) {
    databases.set(server, (databases.get(server) ?? new Set()).add(database));
  }
  const reports = await Promise.all(
    [...databases].map(async ([server, names]) => {
      if (access.servers.facts(server) !== undefined) return [];
      const error = await reachServer(server, [...names], access);
      return error === null ? [] : [{ server, database: null, error }];
    }),
  );
  return reports.flat();
}

/**
 * A database that is missing or closed is its tenants' affair; the next one tells whether the server is there. Only a
 * login that all of them refuse is the server's. A server that is full is there: the run waits for its connections.
 */
async function reachServer(
  server: string,
  databases: readonly string[],
  { pools, failureOf }: FleetAccess,
): Promise<Failure | null> {
  const refusals: Failure[] = [];
  for (const database of databases) {
    try {
      await pools.use(server, database, async () => {});
      return null;
    } catch (error) {
      const failure = failureOf(error);
      const kind = errorKind(error);
      if (kind === 'too-many-connections') return null;
      if (isRefusedLogin(error)) refusals.push(failure);
      else if (kind === 'connection') return failure;
    }
  }
  return refusals.length === databases.length ? (refusals[0] ?? null) : null;
}

/** A command that changes things does not go on without a part of the fleet unless it is told to. */
export function refuseUnread(unread: readonly SourceReport[], options: FindOptions): void {
  if (options.mode === 'read' || options.skipUnreachable || unread.length === 0) return;
  throw new RefusedError('part of the fleet cannot be reached, and this command changes things', {
    details: unread.map(({ server, database, error }) => {
      return `server ${server}${database === null ? '' : `, database ${database}`}: ${error.message}`;
    }),
    hint: 'leave it out by the selection, or go on without it: --skip-unreachable',
  });
}

import type { BackupManifest } from '../../backups/repository/manifest.ts';
import type { Repository } from '../../backups/repository/repository.ts';
import { requireServer, startLocalScratch } from '../../backups/scratch/local-scratch.ts';
import { prepareScratch } from '../../backups/scratch/prepare-scratch.ts';
import type { ScratchServer } from '../../backups/scratch/scratch.ts';
import { ScratchPool } from '../../backups/scratch/scratch-pool.ts';
import { openScratchServer } from '../../backups/scratch/scratch-server.ts';
import type { OnRestored, RestoreMeans } from '../../backups/verify/check-restore.ts';
import type { Context } from '../../context.ts';
import { RefusedError, TenantError, UsageError } from '../../errors.ts';
import { toFailure } from '../../postgres/failure.ts';
import { requireClientTools } from '../../postgres/local/require-client-tools.ts';
import { majorOfText } from '../../postgres/server-version.ts';
import type { Fleet } from '../open-fleet.ts';
import { connectionSettings } from '../open-inventory.ts';

/** Where the archives of a run are tried out. */
export interface ScratchMeans {
  meansFor(manifest: BackupManifest): RestoreMeans;
  /** Restores that may run at once; null: as many as this machine can work on. */
  readonly atMost: number | null;
  close(): Promise<void>;
}

export interface ScratchMeansOptions {
  readonly repository: Repository;
  /** Of the backups that will be tried out. */
  readonly manifests: readonly BackupManifest[];
  /** A server of the inventory; null: clusters of our own. */
  readonly scratch: string | null;
  readonly checks: readonly string[];
  readonly onRestored?: OnRestored | undefined;
}

/** Opens the scratch server that was named, or starts one of each major version that the backups need. Refuses (5) when this machine has none. */
export async function openScratchMeans(
  context: Context,
  fleet: Fleet,
  options: ScratchMeansOptions,
): Promise<ScratchMeans> {
  const { repository, manifests, scratch, checks, onRestored } = options;
  const servers: ScratchServer[] = [];
  const close = async () => void (await Promise.all(servers.map((server) => server.close())));
  const open = async (server: ScratchServer, dumped: readonly BackupManifest[]): Promise<RestoreMeans> => {
    servers.push(server);
    const majors = dumped.map(({ versions }) => majorOfText(versions.dump)).filter((major) => !Number.isNaN(major));
    const tools = await requireClientTools(Math.max(server.major, ...majors), context.env);
    const signal = AbortSignal.any([context.interrupts.cancel, context.interrupts.abandon]);
    const pool = new ScratchPool(server, (database, manifest) => {
      return prepareScratch({ database, repository, manifest, tools, signal });
    });
    return { pool, tools, checks, ...(onRestored === undefined ? {} : { onRestored }) };
  };
  try {
    if (scratch !== null) {
      const means = await open(await openNamed(context, fleet, scratch), manifests);
      return { meansFor: (manifest) => fitting(means, manifest), atMost: roomOn(fleet, scratch), close };
    }
    const byMajor = Map.groupBy(manifests, serverMajor);
    const started = new Map<number, RestoreMeans>();
    for (const [major, dumped] of byMajor) {
      started.set(major, await open(await startLocalScratch({ major, run: fleet.run, env: context.env }), dumped));
    }
    return { meansFor: (manifest) => started.get(serverMajor(manifest)) ?? noServer(manifest), atMost: null, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What would make `openScratchMeans` fail for archives of servers of those versions, found before there are any. */
export async function refuseWithoutScratch(
  context: Context,
  fleet: Fleet,
  scratch: string | null,
  majors: readonly number[],
): Promise<void> {
  if (scratch === null) {
    for (const major of majors) await requireServer(major, context.env);
    return;
  }
  const server = await openNamed(context, fleet, scratch).catch((cause: unknown) => {
    if (cause instanceof UsageError || cause instanceof RefusedError) throw cause;
    const message = `scratch server ${scratch} cannot be used: ${toFailure(cause).message}`;
    throw new RefusedError(message, { hint: 'name another server of the inventory: --scratch', cause });
  });
  await server.close();
  const newest = Math.max(...majors);
  if (newest <= server.major) return;
  throw new RefusedError(`a server has PostgreSQL ${newest}, and scratch server ${scratch} has ${server.major}`, {
    hint: 'name another server: --scratch',
  });
}

async function openNamed(context: Context, fleet: Fleet, scratch: string): Promise<ScratchServer> {
  const { servers, inventory, run } = fleet;
  if (!inventory.servers.has(scratch)) {
    throw new UsageError(`--scratch ${scratch}: the inventory has no such server`, {
      hint: `its servers: ${[...inventory.servers.keys()].join(', ')}`,
    });
  }
  return openScratchServer({
    name: scratch,
    isTemporary: false,
    access: {
      connect: (database) => servers.connect(scratch, database),
      settings: (database) => servers.settings(scratch, database),
    },
    database: connectionSettings({ ...context, emit: () => {} }, inventory)(scratch).database,
    run,
    env: context.env,
  });
}

/** Each restore takes two connections: pg_restore's, or pg_dump's, and the one that looks. One more makes databases. */
function roomOn({ limits, servers }: Fleet, scratch: string): number {
  const configured = limits.perServer.get(scratch) ?? limits.fleet.perServer;
  const free = servers.facts(scratch)?.freeConnections ?? Number.POSITIVE_INFINITY;
  return Math.max(1, Math.floor((Math.min(configured, Math.floor(free / 2)) - 1) / 2));
}

/** What a newer server wrote, an older one does not take. */
function fitting(means: RestoreMeans, manifest: BackupManifest): RestoreMeans {
  const { name, major } = means.pool.server;
  if (serverMajor(manifest) <= major) return means;
  const message = `the backup is of PostgreSQL ${serverMajor(manifest)}, and scratch server ${name} has ${major}`;
  throw new TenantError({ message, code: 'old-scratch', hint: 'name another server: --scratch' });
}

function serverMajor({ versions }: BackupManifest): number {
  return majorOfText(versions.server);
}

function noServer(manifest: BackupManifest): never {
  const message = `no scratch server was started for PostgreSQL ${manifest.versions.server}`;
  throw new TenantError({ message, code: 'no-scratch' });
}

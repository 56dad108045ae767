import { dumpRoles } from '../../backups/dump/companions.ts';
import type { DumpSettings } from '../../backups/dump/dumped-place.ts';
import type { ManifestFacts } from '../../backups/dump/manifests.ts';
import { RateLimit } from '../../backups/dump/rate.ts';
import type { DumpTools } from '../../backups/dump/run-dump.ts';
import { SnapshotHolder } from '../../backups/dump/snapshot-holder.ts';
import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import { historyTable } from '../../migrations/history.ts';
import { toFailure } from '../../postgres/failure.ts';
import type { ClientTools } from '../../postgres/local/client-tools.ts';
import { requireClientTools } from '../../postgres/local/require-client-tools.ts';
import { programEnv } from '../../postgres/program-env.ts';
import { majorOf } from '../../postgres/server-version.ts';
import { Servers } from '../../postgres/servers.ts';
import type { Session } from '../../postgres/session.ts';
import { SessionPools } from '../../postgres/session-pools.ts';
import { sql } from '../../postgres/sql.ts';
import { applicationName } from '../../postgres/tenant-session.ts';
import type { Fleet } from '../open-fleet.ts';
import { connectionSettings } from '../open-inventory.ts';
import { type DumpOptions, lanesWithin } from './dump-options.ts';

/**
 * What pg_dump's reading of the catalogue costs least with, in a database of many schemas: compiling its queries takes
 * longer than running them, and with the usual work_mem they sort and hash on disk. Measured: 1.4 s in place of 2.9 s at
 * 1,000 schemas.
 */
const dumpSettings = { jit: 'off', work_mem: '128MB', max_parallel_workers_per_gather: '0' } as const;
/** Since 13. */
const hashSettings = { hash_mem_multiplier: '4' } as const;

/** A batch takes about so long that the work of one that fails is no great loss. */
const batchBytes = 2e9;

/** Where dumps are read from, and with which programs: the primaries of the fleet, or their replicas. */
export class DumpSources {
  readonly #context: Context;
  readonly #fleet: Fleet;
  readonly #options: DumpOptions;
  readonly #rate: RateLimit | null;
  readonly #servers: Servers;
  readonly #pools: SessionPools;
  readonly #tools = new Map<number, Promise<ClientTools>>();
  readonly #roles = new Map<string, Promise<string | null>>();

  constructor(context: Context, fleet: Fleet, options: DumpOptions) {
    this.#context = context;
    this.#fleet = fleet;
    this.#options = options;
    this.#rate = options.rate === null ? null : new RateLimit(options.rate);
    if (!options.fromReplica) {
      this.#servers = fleet.servers;
      this.#pools = fleet.pools;
      return;
    }
    refuseWithoutReplica(fleet);
    const settings = connectionSettings(context, fleet.inventory, 'replica');
    this.#servers = new Servers(settings, { applicationName: applicationName(fleet.run, 'dump') });
    this.#pools = new SessionPools(
      (server, database) => this.#servers.connect(server, database),
      (server) => fleet.limits.perServer.get(server) ?? fleet.limits.fleet.perServer,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#options.fromReplica) await this.#pools.closeAll();
  }

  get pools(): SessionPools {
    return this.#pools;
  }

  /** What all manifests of this run say. */
  get facts(): ManifestFacts {
    const { run, inventory } = this.#fleet;
    const { fromReplica } = this.#options;
    return { run, environment: inventory.environment, tenantctl: this.#context.version, fromReplica };
  }

  settings(server: string): DumpSettings {
    const { limits } = this.#fleet;
    const { lockShare, aloneAboveBytes, retryForMs } = this.#options;
    const perServer = limits.perServer.get(server) ?? limits.fleet.perServer;
    const perDatabase = limits.perDatabase.get(server) ?? limits.fleet.perDatabase;
    const lanes = lanesWithin(Math.min(perServer, perDatabase));
    return { lanes, lockShare, aloneAboveBytes, batchBytes, retryForMs, historyTable };
  }

  holder(server: string, database: string, say: (text: string) => void): SnapshotHolder {
    const { maxSnapshotMs, lockWaitMs, fromReplica } = this.#options;
    return new SnapshotHolder({
      applicationName: applicationName(this.#fleet.run, 'dump'),
      borrow: () => this.#pools.borrow(server, database),
      borrowForKeys: fromReplica ? () => this.#fleet.pools.borrow(server, database) : null,
      maxAgeMs: maxSnapshotMs,
      lockWaitMs,
      stop: this.#context.interrupts.stop,
      say: (text) => say(`${server}/${database}: ${text}`),
    });
  }

  async toolsFor(
    session: Session,
    place: Pick<DumpTools, 'repository' | 'warn'> & { readonly server: string; readonly database: string },
  ): Promise<DumpTools> {
    const { server, database, repository, warn } = place;
    return {
      tools: await this.#toolsOf(server),
      env: await programEnv(this.#servers.settings(server, database), session, {
        env: this.#context.env,
        applicationName: applicationName(this.#fleet.run, 'dump'),
        settings: this.#majorOf(server) >= 13 ? { ...dumpSettings, ...hashSettings } : dumpSettings,
      }),
      repository,
      rate: this.#rate,
      lockWaitMs: this.#options.lockWaitMs,
      compression: this.#options.compression,
      warn,
    };
  }

  /** Beside the pools, whose sessions the dump holds; rejects with the error of a server that takes no connection now. */
  async ask<T>(server: string, database: string, question: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.#servers.connect(server, database);
    try {
      return await question(session);
    } finally {
      await session.end();
    }
  }

  /** Once a server. A login that may not read roles does not cost the tenants their backups. */
  rolesFile(
    { server, database }: { readonly server: string; readonly database: string },
    dump: DumpTools,
    session: Session,
    say: (text: string) => void,
  ): Promise<string | null> {
    let roles = this.#roles.get(server);
    if (roles === undefined) {
      roles = this.#dumpRoles(server, dump, session).catch(async (error: unknown) => {
        // A server that has no connection for pg_dumpall now has one later: then it is asked again.
        await this.ask(server, database, async () => {});
        say(`${server}: its roles could not be kept: ${toFailure(error).message}`);
        return null;
      });
      this.#roles.set(server, roles);
      roles.catch(() => this.#roles.delete(server));
    }
    return roles;
  }

  async #dumpRoles(server: string, dump: DumpTools, session: Session): Promise<string> {
    const [row] = await session.query<{ version: string }>(
      sql`SELECT pg_catalog.current_setting('server_version') AS version`,
    );
    return dumpRoles(dump, this.facts, { id: server, version: row?.version ?? '' }, this.#context.interrupts.cancel);
  }

  #majorOf(server: string): number {
    return majorOf(this.#servers.facts(server)?.versionNum ?? 0);
  }

  #toolsOf(server: string): Promise<ClientTools> {
    const major = this.#majorOf(server);
    let tools = this.#tools.get(major);
    if (tools === undefined) {
      tools = requireClientTools(major, this.#context.env);
      this.#tools.set(major, tools);
    }
    return tools;
  }
}

function refuseWithoutReplica({ inventory, tenants }: Fleet): void {
  for (const { server } of tenants) {
    if (inventory.servers.get(server)?.replica !== null) continue;
    throw new UsageError(`server ${server} has no replica in the inventory`, {
      hint: `give servers.${server}.replica the address of a standby, or leave --from replica out`,
    });
  }
}

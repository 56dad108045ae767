import type { Limits, ServerConfig } from './inventory/types.ts';

/** Counts what is in use at each of the three levels. All three are taken together or not at all. */
export class Occupancy {
  readonly #concurrency: number;
  readonly #perServer: Map<string, number>;
  readonly #perDatabase: Map<string, number>;
  readonly #defaults: Limits;
  #batches = 0;
  readonly #onServer = new Map<string, number>();
  readonly #onDatabase = new Map<string, number>();
  readonly #halvings = new Map<string, number>();

  constructor(limits: RunLimits) {
    this.#defaults = limits.fleet;
    this.#concurrency = limits.fleet.concurrency;
    this.#perServer = new Map(limits.perServer);
    this.#perDatabase = new Map(limits.perDatabase);
  }

  serverLimit(server: string): number {
    return this.#perServer.get(server) ?? this.#defaults.perServer;
  }

  /** A batch that is larger than a limit still runs, but alone at that level. */
  hasRoom(server: string, database: string, connections: number): boolean {
    const databaseLimit = this.#perDatabase.get(server) ?? this.#defaults.perDatabase;
    return (
      this.#batches < this.#concurrency &&
      fits(this.#onDatabase.get(database) ?? 0, connections, databaseLimit) &&
      fits(this.#onServer.get(server) ?? 0, connections, this.serverLimit(server))
    );
  }

  take(server: string, database: string, connections: number): void {
    this.#batches += 1;
    this.#onServer.set(server, (this.#onServer.get(server) ?? 0) + connections);
    this.#onDatabase.set(database, (this.#onDatabase.get(database) ?? 0) + connections);
  }

  giveBack(server: string, database: string, connections: number): void {
    this.#batches -= 1;
    this.#onServer.set(server, (this.#onServer.get(server) ?? 0) - connections);
    this.#onDatabase.set(database, (this.#onDatabase.get(database) ?? 0) - connections);
  }

  /** How often the limit of a server was halved. */
  halvings(server: string): number {
    return this.#halvings.get(server) ?? 0;
  }

  /**
   * The server ran out of connections: others need them too. `seen` is how often the limit had been halved when the
   * refused batch began: all that were refused together halve it once. Returns the new limit, null when it stays.
   */
  halveServer(server: string, seen: number): number | null {
    if (this.halvings(server) !== seen) return null;
    const halved = Math.max(1, Math.floor(Math.min(this.serverLimit(server), this.#onServer.get(server) ?? 1) / 2));
    this.#perServer.set(server, halved);
    this.#halvings.set(server, seen + 1);
    return halved;
  }
}

function fits(used: number, wanted: number, limit: number): boolean {
  return used === 0 || used + wanted <= limit;
}

/** The fleet's limits, and the narrower ones of single servers (by the inventory, or by the free connections found). */
export interface RunLimits {
  readonly fleet: Limits;
  readonly perServer: ReadonlyMap<string, number>;
  readonly perDatabase: ReadonlyMap<string, number>;
}

/** The inventory's limits for each server, never wider than the fleet's. */
export function limitsOf(fleet: Limits, servers: Iterable<ServerConfig>): RunLimits {
  const perServer = new Map<string, number>();
  const perDatabase = new Map<string, number>();
  for (const { id, limits } of servers) {
    perServer.set(id, Math.min(limits.perServer ?? fleet.perServer, fleet.perServer));
    perDatabase.set(id, Math.min(limits.perDatabase ?? fleet.perDatabase, fleet.perDatabase));
  }
  return { fleet, perServer, perDatabase };
}

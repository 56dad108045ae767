import type { Limits, ServerConfig } from './inventory/types.ts';

/** Connections in use at one level. */
interface Use {
  /** By batches, and by places that are being opened. */
  working: number;
  /** By places that are open, between their batches too. */
  held: number;
}

/** Counts what is in use at each of the three levels. All three are taken together or not at all. */
export class Occupancy {
  readonly #concurrency: number;
  readonly #perServer: Map<string, number>;
  readonly #perDatabase: Map<string, number>;
  readonly #defaults: Limits;
  #batches = 0;
  readonly #onServer = new Map<string, Use>();
  readonly #onDatabase = new Map<string, Use>();
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

  /** A batch that is larger than what a limit leaves still runs, but alone at that level. */
  hasRoom(server: string, database: string, connections: number): boolean {
    return this.#fits(server, database, (use, limit) => {
      return use.working === 0 || use.working + use.held + connections <= limit;
    });
  }

  /**
   * May a place open that will hold so many connections? One more must be left for its work: places that all hold one
   * would else wait for each other.
   */
  hasRoomToOpen(server: string, database: string, held: number): boolean {
    return this.#fits(server, database, ({ working, held: others }, limit) => {
      return working + others === 0 || working + others + held + 1 <= limit;
    });
  }

  take(server: string, database: string, connections: number): void {
    this.#batches += 1;
    use(this.#onServer, server).working += connections;
    use(this.#onDatabase, database).working += connections;
  }

  giveBack(server: string, database: string, connections: number): void {
    this.#batches -= 1;
    use(this.#onServer, server).working -= connections;
    use(this.#onDatabase, database).working -= connections;
  }

  /** Connections that a place holds from now on; negative: no longer. */
  hold(server: string, database: string, connections: number): void {
    use(this.#onServer, server).held += connections;
    use(this.#onDatabase, database).held += connections;
  }

  #fits(server: string, database: string, fits: (use: Use, limit: number) => boolean): boolean {
    return (
      this.#batches < this.#concurrency &&
      fits(use(this.#onDatabase, database), this.#perDatabase.get(server) ?? this.#defaults.perDatabase) &&
      fits(use(this.#onServer, server), this.serverLimit(server))
    );
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
    const halved = Math.max(1, Math.floor(Math.min(this.serverLimit(server), total(use(this.#onServer, server))) / 2));
    this.#perServer.set(server, halved);
    this.#halvings.set(server, seen + 1);
    return halved;
  }
}

function use(uses: Map<string, Use>, key: string): Use {
  let found = uses.get(key);
  if (found === undefined) {
    found = { working: 0, held: 0 };
    uses.set(key, found);
  }
  return found;
}

function total({ working, held }: Use): number {
  return working + held;
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

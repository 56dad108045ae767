import { RefusedError } from '../errors.ts';
import { connect, type SessionOptions } from './connect.ts';
import { errorKind, isRefusedLogin } from './failure.ts';
import { probeServer, type ServerFacts, sharesBackends } from './server-probe.ts';
import type { Session } from './session.ts';
import type { ConnectionSettings } from './settings/connection-settings.ts';

/**
 * The servers of one run. The first session of each asks the server about itself, before others are opened: how many
 * connections are free, and whether a pooler stands in between that would hand one tenant's settings to another.
 */
export class Servers {
  readonly #settingsOf: (server: string) => ConnectionSettings;
  readonly #options: SessionOptions;
  readonly #probes = new Map<string, Promise<ServerFacts>>();
  readonly #facts = new Map<string, ServerFacts>();
  readonly #visited = new Set<string>();

  constructor(settingsOf: (server: string) => ConnectionSettings, options: SessionOptions) {
    this.#settingsOf = settingsOf;
    this.#options = options;
  }

  /** What a server said of itself; undefined before its first session. */
  facts(server: string): ServerFacts | undefined {
    return this.#facts.get(server);
  }

  /** How a database of a server is reached, for PostgreSQL's own programs (`programEnv`). */
  settings(server: string, database: string): ConnectionSettings {
    return this.#settingsOf(server).forDatabase(database);
  }

  /** The database that a server's `url` names: what is kept about databases that may be closed or gone is there. */
  homeDatabase(server: string): string {
    return this.#settingsOf(server).database;
  }

  /**
   * Settles when the first session of a server has its answer; undefined when nobody asks. Rejects with what is true
   * for all who wait for it: a server that is down or full. A database that is missing or closed is its own affair.
   */
  asking(server: string): Promise<void> | undefined {
    if (this.#facts.has(server)) return undefined;
    return this.#probes.get(server)?.then(
      () => {},
      (error: unknown) => {
        const isShared = errorKind(error) !== 'other' && !isRefusedLogin(error);
        if (isShared || error instanceof RefusedError) throw error;
      },
    );
  }

  /** Whether this run asked for a session in that database. */
  hasVisited(server: string, database: string): boolean {
    return this.#visited.has(`${server}\0${database}`);
  }

  /** Opens a session in a database of a server. */
  async connect(server: string, database: string): Promise<Session> {
    const asking = this.asking(server);
    if (asking !== undefined) await asking;
    return this.#facts.has(server) ? this.#open(server, database) : this.#openFirst(server, database);
  }

  async #openFirst(server: string, database: string): Promise<Session> {
    const opened = this.#open(server, database);
    const probe = opened.then((session) => this.#probe(server, database, session));
    this.#probes.set(server, probe);
    try {
      this.#facts.set(server, await probe);
      return await opened;
    } catch (error) {
      this.#probes.delete(server);
      await opened.then((session) => session.end()).catch(() => {});
      throw error;
    }
  }

  #open(server: string, database: string): Promise<Session> {
    this.#visited.add(`${server}\0${database}`);
    return connect(this.#settingsOf(server).forDatabase(database), this.#options);
  }

  async #probe(server: string, database: string, session: Session): Promise<ServerFacts> {
    const facts = await probeServer(session);
    if (!facts.isPooled) return facts;
    const other = await this.#open(server, database);
    try {
      if (await sharesBackends(session, other)) throw pooledError(server);
      return facts;
    } finally {
      await other.end();
    }
  }
}

function pooledError(server: string): RefusedError {
  return new RefusedError(
    `server ${server} is reached through a pooler in transaction mode, where SET and session locks do not hold`,
    { hint: `give servers.${server}.url the address of PostgreSQL itself, or of a pool in session mode` },
  );
}

import { RefusedError } from '../errors.ts';
import { connect, type SessionOptions } from './connect.ts';
import { probeServer, type ServerFacts, sharesBackends } from './server-probe.ts';
import type { Session } from './session.ts';
import type { ConnectionSettings } from './settings/connection-settings.ts';
import { isConnectionError } from './sqlstates.ts';

/**
 * The servers of one run. The first session of each asks the server about itself, before others are opened: how many
 * connections are free, and whether a pooler stands in between that would hand one tenant's settings to another.
 */
export class Servers {
  readonly #settingsOf: (server: string) => ConnectionSettings;
  readonly #options: SessionOptions;
  readonly #probes = new Map<string, Promise<ServerFacts>>();
  readonly #facts = new Map<string, ServerFacts>();

  constructor(settingsOf: (server: string) => ConnectionSettings, options: SessionOptions) {
    this.#settingsOf = settingsOf;
    this.#options = options;
  }

  /** What a server said of itself; undefined before its first session. */
  facts(server: string): ServerFacts | undefined {
    return this.#facts.get(server);
  }

  /** Opens a session in a database of a server. */
  async connect(server: string, database: string): Promise<Session> {
    const known = this.#probes.get(server);
    if (known !== undefined) {
      const facts = await known.catch((error: unknown) => {
        // Down for one is down for all who wait for the same answer; a missing database is its own affair.
        if (isConnectionError(error) || error instanceof RefusedError) throw error;
      });
      if (facts !== undefined) return this.#open(server, database);
    }
    return this.#openFirst(server, database);
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

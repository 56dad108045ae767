import type { Socket } from 'node:net';
import pg from 'pg';
import type { HostSettings } from './settings/hosts.ts';
import type { Sql } from './sql.ts';
import { errorCode, isConnectionError, sqlStates } from './sqlstates.ts';

/** After this long a request to cancel will not be taken any more. */
const cancelTimeoutMs = 5000;

/** How far a text of several statements got. */
export interface ScriptResult {
  /** Statements that completed before the error, or all of them. */
  readonly completed: number;
  readonly error: unknown;
}

/** A query of several statements that counts those that completed: many errors carry no position. */
class ScriptQuery extends pg.Query {
  completed = 0;

  handleCommandComplete(message: unknown, connection: unknown): void {
    this.completed += 1;
    // @ts-expect-error -- pg.Query has this method, its types leave it out
    super.handleCommandComplete(message, connection);
  }
}

export interface ConnectOptions {
  /** Sees the connection before anything is sent. */
  readonly guard?: (connection: unknown) => void;
  /** Aborted: the connection is dropped at once, whatever it does or waits for. */
  readonly cut?: AbortSignal;
}

/** What we need of node-postgres' own connection. */
interface Connection {
  readonly stream: { destroy(error?: Error): void };
  once(event: 'end', listener: () => void): void;
  on(event: 'commandComplete', listener: (message: { readonly text: string }) => void): void;
}

/** What statements need of a session. The transaction of a program can be that too, see `queriesOn`. */
export type Queries = Pick<Session, 'query' | 'raw' | 'isIdle' | 'isBroken'>;

/** One connection to one database. Statements sent together travel in one round trip (pg's pipeline mode). */
export class Session {
  readonly #client: pg.Client;
  readonly #config: pg.ClientConfig;
  #isBroken = false;
  #isLost = false;
  #commits = 0;
  /** Tenants this session has served: a backend that has touched many tables is renewed. */
  tenantsServed = 0;
  /** What the session was last made ready for, by who made it so; null: it must be made ready again. */
  preparedFor: string | null = null;
  /** The host that answered, for programs that must reach the very same; null when nobody said. */
  host: HostSettings | null = null;
  /** Names of statements that were prepared here by PREPARE; DISCARD ALL forgets them. */
  readonly prepared = new Set<string>();
  /** Advisory locks were taken here: they must not outlive the use of the session. */
  holdsLocks = false;

  private constructor(client: pg.Client, config: pg.ClientConfig) {
    this.#client = client;
    this.#config = config;
    client.on('end', () => {
      this.#isBroken = true;
    });
    // The server's farewell to a session that ran nothing just then: from here on the client takes no statement, and
    // the end of the connection may follow later.
    client.on('error', () => {
      this.#isBroken = true;
      this.#isLost = true;
    });
  }

  /** Opens a connection with exactly these settings; rejects with the server's or the network's error. */
  static async connect(config: pg.ClientConfig, options: ConnectOptions = {}): Promise<Session> {
    options.cut?.throwIfAborted();
    // The library's own timeout has no code, and could not be told from a connection that was lost.
    const client = new pg.Client({ ...config, connectionTimeoutMillis: 0, pipeline: true } as pg.ClientConfig);
    const session = new Session(client, config);
    const connection = session.#connection;
    connection.once('end', () => {
      session.#isLost = true;
    });
    connection.on('commandComplete', ({ text }) => {
      if (text === 'COMMIT' || text === 'PREPARE TRANSACTION') session.#commits += 1;
    });
    const cut = () => connection.stream.destroy();
    options.cut?.addEventListener('abort', cut);
    client.on('end', () => options.cut?.removeEventListener('abort', cut));
    options.guard?.(connection);
    const { connectionTimeoutMillis: timeoutMs = 0 } = config;
    const giveUp = () => connection.stream.destroy(noAnswerError(config, timeoutMs));
    const timer = timeoutMs > 0 ? setTimeout(giveUp, timeoutMs) : undefined;
    try {
      await session.#run(client.connect());
    } finally {
      clearTimeout(timer);
    }
    return session;
  }

  get #connection(): Connection {
    return (this.#client as unknown as { connection: Connection }).connection;
  }

  /** The process id the server announced; behind a pooler it is not the backend's. */
  get announcedPid(): number {
    return (this.#client as unknown as { processID: number }).processID;
  }

  /** The connection was lost, or is in a state that nobody should inherit. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** True when no transaction is open. */
  get isIdle(): boolean {
    return (this.#client as unknown as { getTransactionStatus(): string | null }).getTransactionStatus() === 'I';
  }

  /** Transactions that statements have made stay here so far, whoever wrote them. */
  get commits(): number {
    return this.#commits;
  }

  async query<Row>(statement: Sql): Promise<Row[]> {
    const result = await this.#run(this.#client.query(statement.text, [...statement.values]));
    return result.rows as Row[];
  }

  /** A statement as somebody else wrote it (a migration in JavaScript), with node-postgres' own result. */
  async raw(statement: string | pg.QueryConfig, values?: unknown[]): Promise<pg.QueryResult> {
    if (statement === 'DISCARD ALL') this.prepared.clear();
    return this.#run(this.#client.query(statement as pg.QueryConfig, values));
  }

  /** Runs a text of several statements in one message. Does not reject: the result says how far it got. */
  script(text: string): Promise<ScriptResult> {
    return new Promise((resolve) => {
      const query: ScriptQuery = new ScriptQuery({ text } as never);
      const finish = (error: unknown) => {
        resolve({ completed: query.completed, error: error == null ? null : this.#note(error) });
      };
      (query as unknown as { callback: (error: unknown) => void }).callback = finish;
      this.#client.query(query as never);
    });
  }

  /**
   * Asks the server to cancel what runs here. Resolves when the request was delivered, or when nobody took it. It may
   * still strike later, so that nobody else should get this session.
   */
  async cancel(): Promise<void> {
    this.#isBroken = true;
    const { processID, secretKey, sslNegotiation } = this.#client as unknown as {
      processID: number;
      secretKey: number;
      sslNegotiation: string;
    };
    const { host = 'localhost', port = 5432 } = this.#client;
    const { ssl } = this.#config;
    const connection = new pg.Connection({ ssl, sslNegotiation } as never);
    const events = connection as unknown as {
      readonly stream: Socket;
      connect(port: number | string, host?: string): void;
      requestSsl(): void;
      cancel(processId: number, secretKey: number): void;
      on(event: string, listener: (error?: unknown) => void): void;
    };
    // The process does not stay for the sake of a request that nobody takes.
    events.stream.unref();
    const timer = setTimeout(() => events.stream.destroy(), cancelTimeoutMs).unref();
    await new Promise<void>((resolve) => {
      const send = () => events.cancel(processID, secretKey);
      if (ssl) events.on('sslconnect', send);
      events.on('connect', () => {
        if (!ssl) send();
        else if (sslNegotiation !== 'direct') events.requestSsl();
      });
      // The server closes the connection when it has taken the request; a failure changes nothing for the caller.
      events.on('error', () => resolve());
      events.on('end', () => resolve());
      if (host.startsWith('/')) events.connect(`${host}/.s.PGSQL.${port}`);
      else events.connect(port, host);
    });
    clearTimeout(timer);
  }

  /** Drops the connection at once. The server goes on until it notices, and the backend's locks stay until then. */
  destroy(): void {
    this.#isBroken = true;
    this.#connection.stream.destroy();
  }

  /** Closes the connection; resolves when the server has closed its side too, so that it no longer counts. */
  async end(): Promise<void> {
    this.#isBroken = true;
    try {
      await this.#client.end();
    } catch {
      // It was gone already.
    }
  }

  async #run<T>(result: Promise<T>): Promise<T> {
    try {
      return await result;
    } catch (error) {
      throw this.#note(error);
    }
  }

  /** Sees each error on its way out. node-postgres gives no code to what a lost connection does to its queries. */
  #note(error: unknown): unknown {
    if (isConnectionError(error) || errorCode(error) === null) this.#isBroken = true;
    if (!this.#isLost || errorCode(error) !== null) return error;
    const lost = new Error('the connection to the server was lost', { cause: error });
    return Object.assign(lost, { code: sqlStates.connectionFailure });
  }
}

function noAnswerError({ host, port }: pg.ClientConfig, timeoutMs: number): Error {
  return Object.assign(new Error(`no answer from ${host}:${port} within ${timeoutMs / 1000} s`), { code: 'ETIMEDOUT' });
}

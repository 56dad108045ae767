import { unlockAll } from './advisory-locks.ts';
import { errorKind } from './failure.ts';
import type { Session } from './session.ts';

/** A backend that has touched 20,000 tables holds 216 MB: it is renewed after this many tenants. */
const tenantsPerSession = 100;

interface Pool {
  readonly server: string;
  readonly idle: Session[];
  /** Sessions that are being opened ahead of their use. */
  readonly warming: Set<Promise<void>>;
}

export interface BorrowedSession {
  readonly session: Session;
  readonly giveBack: () => Promise<void>;
}

/**
 * The sessions of one run: reused per database, and never more on one server than its limit, idle ones included.
 */
export class SessionPools {
  readonly #connect: (server: string, database: string) => Promise<Session>;
  readonly #limitOf: (server: string) => number;
  readonly #asking: (server: string) => Promise<void> | undefined;
  /** What is left of the limit of a server that ran out of connections. */
  readonly #caps = new Map<string, number>();
  #isClosed = false;
  readonly #pools = new Map<string, Pool>();
  /** Sessions on a server: open, being opened or being closed. */
  readonly #counts = new Map<string, number>();
  readonly #waiting = new Map<string, (() => void)[]>();

  /** `asking`: while it waits for a server's word on itself, which may lower the limit, only one session is opened. */
  constructor(
    connect: (server: string, database: string) => Promise<Session>,
    limitOf: (server: string) => number,
    asking: (server: string) => Promise<void> | undefined = () => undefined,
  ) {
    this.#connect = connect;
    this.#limitOf = limitOf;
    this.#asking = asking;
  }

  /** Lends a session of that database. One that `work` failed with is not reused: nobody knows its state. */
  async use<T>(server: string, database: string, work: (session: Session) => Promise<T>): Promise<T> {
    const pool = this.#poolOf(server, database);
    const session = await this.#acquire(pool, database);
    let reusable = false;
    try {
      const result = await work(session);
      const isSound = !session.isBroken && session.isIdle && session.tenantsServed < tenantsPerSession;
      reusable = isSound && !this.#isClosed && this.#count(server) <= this.#limit(server);
      return result;
    } finally {
      if (reusable) {
        // An idle session must not keep its last tenant from others. Not waited for: the next user's statements queue
        // behind it, and when it fails the session is broken and nobody's.
        if (session.holdsLocks) unlockAll(session).catch(() => {});
        pool.idle.push(session);
        this.#wake(server);
      } else {
        await this.#end(server, session);
      }
    }
  }

  /** As `use`, for as long as it takes: until `giveBack`, which resolves when nothing of the loan is left. */
  async borrow(server: string, database: string): Promise<BorrowedSession> {
    const lent = Promise.withResolvers<Session>();
    const returned = Promise.withResolvers<void>();
    const use = this.use(server, database, async (session) => {
      lent.resolve(session);
      await returned.promise;
    });
    use.catch(lent.reject);
    const session = await lent.promise;
    return {
      session,
      giveBack: async () => {
        returned.resolve();
        await use;
      },
    };
  }

  /**
   * Opens sessions ahead of their use, up to `count` idle ones and within the server's limit. Whoever needs them does
   * not wait here: a connection that fails is tried again by the one that needs it, and told there.
   */
  warm(server: string, database: string, count: number): void {
    const pool = this.#poolOf(server, database);
    const room = Math.min(count - pool.idle.length, this.#limit(server) - this.#count(server));
    for (let opened = 0; opened < room; opened += 1) {
      const warming = this.#open(server, database).then(
        (session) => void pool.idle.push(session),
        () => {},
      );
      pool.warming.add(warming);
      void warming.then(() => {
        pool.warming.delete(warming);
        this.#wake(server);
      });
    }
  }

  /** Closes the idle sessions of a database; others may want to drop it, or the place. Without one: of the server. */
  async closeIdle(server: string, database?: string): Promise<void> {
    const pools =
      database === undefined
        ? [...this.#pools.values()].filter((pool) => pool.server === server)
        : [this.#poolOf(server, database)];
    await Promise.all(pools.flatMap(({ idle }) => idle.splice(0)).map((session) => this.#end(server, session)));
  }

  /** Closes all that are idle, now or when they are given back; no session is lent any more. */
  async closeAll(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#pools.values()].flatMap(({ warming }) => [...warming]));
    const closing = [...this.#pools.values()].flatMap(({ server, idle }) =>
      idle.splice(0).map((session) => this.#end(server, session)),
    );
    await Promise.all(closing);
  }

  async #acquire(pool: Pool, database: string): Promise<Session> {
    const { server } = pool;
    for (;;) {
      const idle = pool.idle.pop();
      if (idle !== undefined && !idle.isBroken) return idle;
      if (idle !== undefined) await this.#end(server, idle);
      else if (pool.warming.size > 0) await this.#nextRelease(server);
      else if (this.#count(server) < this.#limit(server)) {
        const asking = this.#asking(server);
        if (asking === undefined) return this.#open(server, database);
        await asking;
      } else if (!(await this.#evictIdle(server))) await this.#nextRelease(server);
    }
  }

  async #open(server: string, database: string): Promise<Session> {
    if (this.#isClosed) throw new Error('the sessions of this run were closed');
    const limit = this.#limit(server);
    this.#counts.set(server, this.#count(server) + 1);
    try {
      return await this.#connect(server, database);
    } catch (error) {
      // All that were refused together halve the limit once.
      if (errorKind(error) === 'too-many-connections' && limit === this.#limit(server)) {
        this.#caps.set(server, Math.max(1, Math.floor(Math.min(limit, this.#count(server)) / 2)));
      }
      this.#counts.set(server, this.#count(server) - 1);
      this.#wake(server);
      throw error;
    }
  }

  /** An idle session of another database of this server makes way. */
  async #evictIdle(server: string): Promise<boolean> {
    for (const pool of this.#pools.values()) {
      const session = pool.server === server ? pool.idle.shift() : undefined;
      if (session === undefined) continue;
      await this.#end(server, session);
      return true;
    }
    return false;
  }

  async #end(server: string, session: Session): Promise<void> {
    await session.end();
    this.#counts.set(server, this.#count(server) - 1);
    this.#wake(server);
  }

  #nextRelease(server: string): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(server) ?? [];
      waiting.push(resolve);
      this.#waiting.set(server, waiting);
    });
  }

  #wake(server: string): void {
    const waiting = this.#waiting.get(server) ?? [];
    this.#waiting.delete(server);
    for (const resolve of waiting) resolve();
  }

  #limit(server: string): number {
    return Math.min(this.#limitOf(server), this.#caps.get(server) ?? Number.POSITIVE_INFINITY);
  }

  #count(server: string): number {
    return this.#counts.get(server) ?? 0;
  }

  #poolOf(server: string, database: string): Pool {
    const key = JSON.stringify([server, database]);
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool = { server, idle: [], warming: new Set() };
      this.#pools.set(key, pool);
    }
    return pool;
  }
}

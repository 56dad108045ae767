import { setTimeout as delay } from 'node:timers/promises';
import { unlockAll } from '../../postgres/advisory-locks.ts';
import type { Session } from '../../postgres/session.ts';
import type { BorrowedSession } from '../../postgres/session-pools.ts';
import { prepareReader } from '../../postgres/tenant-session.ts';
import { fileTime } from '../repository/names.ts';
import { takeDatabase } from './database-keys.ts';
import { findChanged } from './fence.ts';
import { exportSnapshot } from './snapshot.sql.ts';

/** One instant of a database, for any number of pg_dump while its holder lives. */
export interface Snapshot {
  /** From 1 on. Archives of one number show one instant. */
  readonly number: number;
  /** Why there was a new one; null for the first. */
  readonly reason: string | null;
  /** For `pg_dump --snapshot`. */
  readonly id: string;
  readonly takenAt: Date;
  /** performance.now() of that instant. */
  readonly takenHereAt: number;
  /** Names the files. */
  readonly time: string;
  readonly lsn: string;
  /** Its transaction shows the snapshot; whatever is asked there sees that instant. */
  readonly session: Session;
}

export interface SnapshotOptions {
  readonly applicationName: string;
  /** A session of the server that is dumped: the primary, or a replica of it. */
  readonly borrow: () => Promise<BorrowedSession>;
  /** A session of the primary for the keys; null: the one that holds the snapshot. */
  readonly borrowForKeys: (() => Promise<BorrowedSession>) | null;
  readonly maxAgeMs: number;
  readonly lockWaitMs: number;
  readonly stop: AbortSignal;
  readonly say: (text: string) => void;
}

/** Between two snapshots changes that waited get their turn: they ask at least every second. */
const breathMs = 1500;

/**
 * Holds a snapshot of one database, and the keys that keep changes of its tenants away while it lives. A snapshot that
 * is too old, or whose session was lost, is replaced once nobody uses it.
 */
export class SnapshotHolder {
  readonly #options: SnapshotOptions;
  #holder: BorrowedSession | null = null;
  #keyHolder: BorrowedSession | null = null;
  #snapshot: Snapshot | null = null;
  #users = 0;
  /** The number of the last snapshot that was lent. */
  #used = 0;
  /** Snapshots up to this number are gone. */
  #lost = 0;
  #renewing: Promise<void> | null = null;
  #left = Promise.withResolvers<void>();

  constructor(options: SnapshotOptions) {
    this.#options = options;
  }

  /** Of the snapshot that is held, or was last; 0 before the first. */
  get number(): number {
    return this.#snapshot?.number ?? 0;
  }

  /** Lends a snapshot whose number is at least `least`; waits until nobody uses the older one if there must be a new one. */
  async use<T>(least: number, work: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    const snapshot = await this.#enter(least);
    try {
      return await work(snapshot);
    } finally {
      this.#users -= 1;
      this.#left.resolve();
      this.#left = Promise.withResolvers();
    }
  }

  /**
   * Which of the schemas were rewritten, emptied, renamed or dropped since the snapshot, and what of them. When it cannot
   * be asked the snapshot is gone with its transaction, and the next user gets a new one.
   */
  async changedSince(snapshot: Snapshot, schemas: readonly string[] | null): Promise<ReadonlyMap<string, string>> {
    try {
      return await findChanged(snapshot.session, schemas);
    } catch (error) {
      this.#lost = snapshot.number;
      throw error;
    }
  }

  /** True once a snapshot cannot be used any more: programs that use it fail. */
  isLost({ session, number }: Snapshot): boolean {
    return session.isBroken || number <= this.#lost;
  }

  async close(): Promise<void> {
    await this.#letGo('all');
  }

  async #enter(least: number): Promise<Snapshot> {
    for (;;) {
      const reason = this.#whyNew(least);
      if (reason === null && this.#snapshot !== null) {
        this.#users += 1;
        this.#used = this.#snapshot.number;
        return this.#snapshot;
      }
      this.#options.stop.throwIfAborted();
      if (this.#renewing !== null) await this.#renewing;
      else if (this.#users > 0) await this.#left.promise;
      else {
        this.#renewing = this.#renew(reason).finally(() => {
          this.#renewing = null;
        });
        await this.#renewing;
      }
    }
  }

  #whyNew(least: number): 'first' | 'lost' | 'age' | 'changed' | null {
    const snapshot = this.#snapshot;
    if (snapshot === null) return 'first';
    if (this.isLost(snapshot) || this.#keyHolder?.session.isBroken === true) return 'lost';
    // One that was just taken serves once, however short its life is to be.
    const isOld = performance.now() - snapshot.takenHereAt > this.#options.maxAgeMs;
    if (isOld && this.#used === snapshot.number) return 'age';
    return snapshot.number < least ? 'changed' : null;
  }

  async #renew(reason: 'first' | 'lost' | 'age' | 'changed' | null): Promise<void> {
    const number = (this.#snapshot?.number ?? 0) + 1;
    if (reason === 'lost') await this.#letGo('all');
    if (reason === 'age') {
      await this.#letGo('all');
      this.#options.say(`the snapshot is ${Math.round(this.#options.maxAgeMs / 1000)} s old: going on with a new one`);
      await delay(breathMs, undefined, { signal: this.#options.stop }).catch(() => {});
      this.#options.stop.throwIfAborted();
    }
    // For a tenant that changed meanwhile the keys are kept: nobody waits for longer than before.
    if (reason === 'changed') await this.#letGo('snapshot');
    const session = await this.#openSessions();
    const { id, takenAt, lsn } = await exportSnapshot(session);
    const why = reason === null || reason === 'first' ? null : reasons[reason];
    this.#snapshot = {
      number,
      reason: why,
      id,
      takenAt,
      takenHereAt: performance.now(),
      time: fileTime(takenAt),
      lsn,
      session,
    };
  }

  /** Sessions that are there stay; the keys are taken before the snapshot. */
  async #openSessions(): Promise<Session> {
    const { applicationName, borrow, borrowForKeys, lockWaitMs, stop, say } = this.#options;
    try {
      this.#holder ??= await borrow();
      const { session } = this.#holder;
      if (borrowForKeys !== null) this.#keyHolder ??= await borrowForKeys();
      const keys = this.#keyHolder?.session ?? session;
      if (!keys.holdsLocks) {
        await prepareReader(keys, applicationName);
        await takeDatabase(keys, { waitMs: lockWaitMs, stop, onWait: say });
      }
      if (keys !== session) await prepareReader(session, applicationName);
      return session;
    } catch (error) {
      await this.#letGo('all');
      throw error;
    }
  }

  async #letGo(what: 'snapshot' | 'all'): Promise<void> {
    if (what === 'snapshot') {
      await this.#holder?.session.raw('COMMIT');
      return;
    }
    const holders = [this.#holder, this.#keyHolder].filter((holder) => holder !== null);
    this.#holder = null;
    this.#keyHolder = null;
    await Promise.all(holders.map(endLoan));
  }
}

const reasons = {
  lost: 'the connection that held the first snapshot was lost',
  age: 'the first snapshot had been held for as long as --max-snapshot allows',
  changed: 'tables were rewritten, emptied, renamed or dropped while the first snapshot was held',
} as const;

async function endLoan({ session, giveBack }: BorrowedSession): Promise<void> {
  if (!session.isBroken) {
    await session.raw('ROLLBACK').catch(() => {});
    await unlockAll(session).catch(() => {});
    session.preparedFor = null;
  }
  await giveBack();
}

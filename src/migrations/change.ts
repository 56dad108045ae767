import { TenantError } from '../errors.ts';
import type { Tenant } from '../fleet/tenant.ts';
import type { Session } from '../postgres/session.ts';
import type { Sql } from '../postgres/sql.ts';
import type { Migration } from './folder.ts';
import { untilAborted } from './javascript.ts';
import { concurrentIndexes } from './lanes.ts';
import { locateError, type SentScript } from './locate.ts';
import { isConnectionLoss, mayPass, RepeatableError } from './repeatable.ts';
import { type LoneSteps, runAlone } from './run-alone.ts';
import type { SqlSection } from './sql-file.ts';
import { type ChangeSettings, type Engine, prefixStatements, TenantWork } from './tenant-work.ts';
import { sayWhatStays } from './what-stays.ts';

interface Sent {
  readonly migration: Migration;
  readonly error: Promise<TenantError | null>;
}

/** What a rehearsal has seen. Times in milliseconds. */
export interface Rehearsed<T> {
  /** Those that ran, in order. */
  readonly migrations: readonly { readonly name: string; readonly durationMs: number }[];
  /** From the first statement to the moment when a run would commit. */
  readonly durationMs: number;
  readonly seen: T;
}

/** A rehearsal came to where the transaction would have to end. */
class NotRehearsable extends Error {
  override readonly name = 'NotRehearsable';
}

/**
 * Runs migrations on one tenant: in one transaction, cut only by those that refuse one. The transaction is open when
 * it begins (the caller has checked in it that the tenant is as planned). Files in SQL are sent without waiting for
 * each other: once one fails, the server refuses the rest.
 */
export class Change {
  readonly #work: TenantWork;
  readonly #session: Session;
  readonly #engine: Engine;
  readonly #signal: AbortSignal;
  readonly #onStep: (step: string) => void;
  readonly #sent: Sent[] = [];
  readonly #unrecorded: Migration[] = [];
  /** What stays when a later step fails. */
  readonly #committed: string[] = [];
  /** The migrations whose COMMIT was sent and not answered; null: there is none. */
  #committing: readonly string[] | null = null;
  /** What runs, or was the last to run. */
  #current: Migration | null = null;
  /** Something ran outside of a transaction. */
  #ranAlone = false;
  /** Then nothing is ever committed. */
  #isRehearsal = false;

  constructor(session: Session, tenant: Tenant, engine: Engine, settings: ChangeSettings) {
    this.#work = new TenantWork(session, tenant, engine, settings);
    this.#session = session;
    this.#engine = engine;
    this.#signal = settings.signal;
    this.#onStep = settings.onStep;
  }

  /** Runs the migrations and commits. `first` are statements that belong to the beginning of the transaction. */
  run(migrations: readonly Migration[], first: readonly Sql[]): Promise<void> {
    return this.#telling(async () => {
      await Promise.all(first.map((statement) => this.#session.query(statement)));
      for (const migration of migrations) await this.#runOne(migration);
      await this.#commit();
    });
  }

  /**
   * Runs the migrations as `run` does, but waits for each, and rolls all back in the end: up to the first one that
   * refuses a transaction, or may end it by itself. `look` is called where a run would commit.
   */
  rehearse<T>(migrations: readonly Migration[], first: readonly Sql[], look: () => Promise<T>): Promise<Rehearsed<T>> {
    this.#isRehearsal = true;
    return this.#telling(async () => {
      const startedAt = performance.now();
      await Promise.all(first.map((statement) => this.#session.query(statement)));
      const ran = await this.#runTimed(migrations);
      if (this.#unrecorded.length > 0) await this.#work.record(this.#unrecorded);
      // What COMMIT would check, and fail by.
      this.#onStep('checking deferred constraints');
      await this.#session.raw('SET CONSTRAINTS ALL IMMEDIATE');
      const durationMs = Math.round(performance.now() - startedAt);
      const seen = await look();
      await this.#session.raw('ROLLBACK');
      return { migrations: ran, durationMs, seen };
    });
  }

  async #runTimed(migrations: readonly Migration[]): Promise<Rehearsed<unknown>['migrations']> {
    const ran: { name: string; durationMs: number }[] = [];
    try {
      for (const migration of migrations) {
        const startedAt = performance.now();
        await this.#runOne(migration);
        await this.#settleSent();
        ran.push({ name: migration.name, durationMs: Math.round(performance.now() - startedAt) });
      }
    } catch (error) {
      if (!(error instanceof NotRehearsable)) throw error;
    }
    return ran;
  }

  /** Says of what fails here whether something of it stays, and whether it may be tried again. */
  async #telling<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const committedUnasked = this.#committedUnasked;
      const told = await sayWhatStays(this.#work, error, { committed: this.#committed, committedUnasked });
      const mayRepeat = this.#leavesNothing;
      // A migration in JavaScript may lose a connection, or miss a file, of its own.
      const isOurs = this.#session.isBroken || !isConnectionLoss(error);
      const committing = isOurs && isConnectionLoss(error) ? this.#committing : null;
      const isRepeatable = committing !== null || (mayRepeat && isOurs && mayPass(error));
      throw isRepeatable ? new RepeatableError(told, { mayRepeat, committing }) : told;
    }
  }

  /** All that was done is rolled back with the one transaction that it was. */
  get #leavesNothing(): boolean {
    return !this.#ranAlone && this.#committed.length === 0 && !this.#work.wasCommittedUnasked;
  }

  /** What a COMMIT among the statements has made stay, as a whole or in part. */
  get #committedUnasked(): readonly string[] {
    if (!this.#work.wasCommittedUnasked || this.#committing !== null) return [];
    const migrations = new Set([...this.#unrecorded, ...(this.#current === null ? [] : [this.#current])]);
    return [...migrations].map(({ name }) => name);
  }

  async #runOne(migration: Migration): Promise<void> {
    this.#signal.throwIfAborted();
    this.#current = migration;
    if (this.#engine.fake) {
      this.#unrecorded.push(migration);
    } else if (migration.kind === 'js') {
      await this.#settleSent();
      await this.#runJavaScript(migration);
    } else if (migration.sql.usesTransaction) {
      await this.#work.begin();
      await (this.#isUnparsed(migration) ? this.#runUnparsed(migration) : this.#send(migration));
      this.#unrecorded.push(migration);
    } else {
      await this.#runSingly(migration);
    }
  }

  #section(migration: Migration): SqlSection {
    const section = migration.kind === 'sql' ? migration.sql[this.#engine.direction] : null;
    if (section === null) throw new TenantError(noDownSection(migration));
    return section;
  }

  #isUnparsed(migration: Migration): boolean {
    return this.#engine.inspector.inspect(migration, this.#engine.direction).statements === null;
  }

  /** Nobody has seen whether there is a COMMIT in it. */
  async #runUnparsed(migration: Migration): Promise<void> {
    const { text } = this.#section(migration);
    // What a run finds out afterwards, a rehearsal must not let happen.
    if (this.#isRehearsal && this.#engine.inspector.mayEndTransaction(text)) throw new NotRehearsable();
    await this.#settleSent();
    await this.#work.keepingTransaction(migration, () => {
      this.#send(migration);
      return this.#settleSent();
    });
  }

  #send(migration: Migration): void {
    const section = this.#section(migration);
    const { statements } = this.#engine.inspector.inspect(migration, this.#engine.direction);
    const prefix = this.#work.prefix();
    const script = { prefix, prefixStatements, ...section, statements };
    const result = this.#session.script(prefix + section.text);
    const error = result.then((sent) => {
      return sent.error === null ? null : locateError(sent.error, migration, script, sent.completed);
    });
    this.#sent.push({ migration, error });
  }

  async #settleSent(): Promise<void> {
    for (const { migration, error } of this.#sent.splice(0)) {
      this.#onStep(migration.name);
      const failed = await error;
      if (failed !== null) throw failed;
    }
  }

  async #runJavaScript(migration: Migration): Promise<void> {
    const { build, direction } = this.#engine;
    await this.#work.begin();
    this.#onStep(migration.name);
    try {
      await this.#session.raw(this.#work.prefix());
      const built = build(migration, direction, this.#session);
      const { steps, usesTransaction } = await untilAborted(built, this.#signal);
      this.#work.checkTransaction(migration);
      if (!usesTransaction) {
        await this.#commit();
        return await this.#runAlone({
          migration,
          steps: steps.map((text) => ({ text })),
          indexes: steps.flatMap((text) => this.#engine.inspector.indexesIn(text)),
          run: ({ text }) => this.#session.raw(text),
        });
      }
      for (const step of steps) {
        this.#signal.throwIfAborted();
        await this.#session.raw(step);
        this.#work.checkTransaction(migration);
      }
      this.#unrecorded.push(migration);
    } catch (error) {
      const isOwn = error instanceof TenantError || error instanceof NotRehearsable;
      throw isOwn ? error : locateError(error, migration, null, 0);
    }
  }

  /** Without a transaction each statement travels alone: several in one message would be a transaction again. */
  async #runSingly(migration: Migration): Promise<void> {
    await this.#commit();
    this.#onStep(migration.name);
    const section = this.#section(migration);
    const { statements } = this.#engine.inspector.inspect(migration, this.#engine.direction);
    await this.#session.raw(this.#work.prefix());
    await this.#runAlone({
      migration,
      steps: statements ?? [section],
      indexes: concurrentIndexes(migration, this.#engine.direction, this.#engine.inspector),
      run: async (statement) => {
        const sent: SentScript = { prefix: '', prefixStatements: 0, ...statement, statements: [statement] };
        const { error, completed } = await this.#session.script(statement.text);
        if (error !== null) throw locateError(error, migration, sent, completed);
      },
    });
  }

  /** Not in a transaction: what ran before it is committed first. */
  async #runAlone<T extends { readonly text: string }>(steps: LoneSteps<T>): Promise<void> {
    this.#ranAlone = true;
    await runAlone(this.#work, steps, (completed) => this.#committed.push(completed));
    this.#committed.push(steps.migration.name);
  }

  async #commit(): Promise<void> {
    if (this.#isRehearsal) throw new NotRehearsable();
    const migrations = [...this.#unrecorded];
    const recorded = migrations.length === 0 || !this.#work.inTransaction ? null : this.#work.record(migrations);
    recorded?.catch(() => {
      // It fails with 25P02 when a migration sent before it failed; that error is the one to tell.
    });
    await this.#settleSent();
    await recorded;
    if (!this.#work.inTransaction) return;
    if (this.#current !== null) this.#work.checkTransaction(this.#current);
    this.#signal.throwIfAborted();
    this.#onStep('COMMIT');
    this.#committing = migrations.map(({ name }) => name);
    const { command } = await this.#session.raw('COMMIT');
    this.#committing = null;
    if (command !== 'COMMIT') throw new TenantError({ message: 'the server rolled the transaction back at COMMIT' });
    this.#work.inTransaction = false;
    this.#unrecorded.length = 0;
    this.#committed.push(...migrations.map(({ name }) => name));
  }
}

function noDownSection(migration: Migration) {
  return {
    message: `${migration.displayPath} has no down section`,
    code: 'no-down',
    file: migration.displayPath,
    hint: 'write what takes it back below a line `-- Down Migration`',
  };
}

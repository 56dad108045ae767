import { TenantError } from '../errors.ts';
import type { Tenant } from '../fleet/tenant.ts';
import { toFailure } from '../postgres/failure.ts';
import { quoteIdentifier, quoteSearchPath } from '../postgres/identifiers.ts';
import type { Session } from '../postgres/session.ts';
import type { Sql } from '../postgres/sql.ts';
import type { Migration } from './folder.ts';
import { recordApplied, removeApplied } from './history.ts';
import type { Inspector } from './inspection.ts';
import { adviceOnInvalid, findInvalidIndexes, refuseInvalidIndexes } from './invalid-indexes.ts';
import type { BuildMigration } from './javascript.ts';
import { locateError, type SentScript } from './locate.ts';
import type { SqlSection } from './sql-file.ts';

/** What is the same for all tenants of a run. */
export interface Engine {
  readonly direction: 'up' | 'down';
  /** Write the history only. */
  readonly fake: boolean;
  readonly inspector: Inspector;
  readonly build: BuildMigration;
}

/** Statements of `#prefix`. */
const prefixStatements = 3;

interface Sent {
  readonly migration: Migration;
  readonly error: Promise<TenantError | null>;
}

/**
 * Runs migrations on one tenant: in one transaction, cut only by those that refuse one. The transaction is open when
 * it begins (the caller has checked in it that the tenant is as planned). Files in SQL are sent without waiting for
 * each other: once one fails, the server refuses the rest.
 */
export class Change {
  readonly #session: Session;
  readonly #tenant: Tenant;
  readonly #engine: Engine;
  readonly #signal: AbortSignal;
  readonly #onStep: (step: string) => void;
  readonly #sent: Sent[] = [];
  readonly #unrecorded: Migration[] = [];
  /** What stays when a later step fails. */
  readonly #committed: string[] = [];
  #inTransaction = true;

  /** `signal`: nothing more is begun once it is aborted; what runs on the server then is the caller's to cancel. */
  constructor(
    session: Session,
    tenant: Tenant,
    engine: Engine,
    { signal, onStep }: { readonly signal: AbortSignal; readonly onStep: (step: string) => void },
  ) {
    this.#session = session;
    this.#tenant = tenant;
    this.#engine = engine;
    this.#signal = signal;
    this.#onStep = onStep;
  }

  /** Runs the migrations and commits. `first` are statements that belong to the beginning of the transaction. */
  async run(migrations: readonly Migration[], first: readonly Sql[]): Promise<void> {
    try {
      await Promise.all(first.map((statement) => this.#session.query(statement)));
      for (const migration of migrations) await this.#runOne(migration);
      await this.#commit();
    } catch (error) {
      throw await this.#sayWhatStays(error);
    }
  }

  async #runOne(migration: Migration): Promise<void> {
    this.#signal.throwIfAborted();
    if (this.#engine.fake) {
      this.#unrecorded.push(migration);
    } else if (migration.kind === 'js') {
      await this.#settleSent();
      await this.#runJavaScript(migration);
    } else if (migration.sql.usesTransaction) {
      await this.#begin();
      const { statements } = this.#send(migration);
      if (statements === null) {
        // Nobody has seen whether there is a COMMIT in it.
        await this.#settleSent();
        this.#checkTransaction(migration);
      }
      this.#unrecorded.push(migration);
    } else {
      await this.#runSingly(migration);
    }
  }

  /** Each file, and the history, finds the tenant's own path and role, whatever the file before did to them. */
  #prefix(): string {
    const { role, searchPath } = this.#tenant;
    const setRole = role === null ? 'RESET ROLE' : `SET ROLE ${quoteIdentifier(role)}`;
    return `RESET SESSION AUTHORIZATION; ${setRole}; SET search_path TO ${quoteSearchPath(searchPath)}; `;
  }

  #section(migration: Migration): SqlSection {
    const section = migration.kind === 'sql' ? migration.sql[this.#engine.direction] : null;
    if (section === null) throw new TenantError(noDownSection(migration));
    return section;
  }

  #send(migration: Migration): Pick<SentScript, 'statements'> {
    const section = this.#section(migration);
    const { statements } = this.#engine.inspector.inspect(migration, this.#engine.direction);
    const prefix = this.#prefix();
    const script = { prefix, prefixStatements, ...section, statements };
    const result = this.#session.script(prefix + section.text);
    const error = result.then((sent) => {
      return sent.error === null ? null : locateError(sent.error, migration, script, sent.completed);
    });
    this.#sent.push({ migration, error });
    return script;
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
    await this.#begin();
    this.#onStep(migration.name);
    try {
      await this.#session.raw(this.#prefix());
      const built = build(migration, direction, this.#session);
      const { steps, usesTransaction } = await untilAborted(built, this.#signal);
      this.#checkTransaction(migration);
      if (!usesTransaction) {
        await this.#commit();
        const alone = steps.map((text) => ({ text }));
        return await this.#runAlone(migration, alone, ({ text }) => this.#session.raw(text));
      }
      for (const step of steps) {
        this.#signal.throwIfAborted();
        await this.#session.raw(step);
        this.#checkTransaction(migration);
      }
      this.#unrecorded.push(migration);
    } catch (error) {
      throw error instanceof TenantError ? error : locateError(error, migration, null, 0);
    }
  }

  /** Without a transaction each statement travels alone: several in one message would be a transaction again. */
  async #runSingly(migration: Migration): Promise<void> {
    await this.#commit();
    this.#onStep(migration.name);
    const section = this.#section(migration);
    const { statements } = this.#engine.inspector.inspect(migration, this.#engine.direction);
    await this.#session.raw(this.#prefix());
    await this.#runAlone(migration, statements ?? [section], async (statement) => {
      const sent: SentScript = { prefix: '', prefixStatements: 0, ...statement, statements: [statement] };
      const { error, completed } = await this.#session.script(statement.text);
      if (error !== null) throw locateError(error, migration, sent, completed);
    });
  }

  /** Outside a transaction each step stays when the next one fails: then the operator must know how far it came. */
  async #runAlone<T extends { readonly text: string }>(
    migration: Migration,
    steps: readonly T[],
    run: (step: T) => Promise<unknown>,
  ): Promise<void> {
    let completed = 0;
    try {
      for (const step of steps) {
        this.#signal.throwIfAborted();
        await run(step);
        this.#checkTransaction(migration);
        completed += 1;
      }
      const buildsIndexes = this.#engine.direction === 'up' && steps.some(({ text }) => /concurrently/i.test(text));
      if (buildsIndexes) await refuseInvalidIndexes(this.#session, this.#tenant, migration);
      await this.#record([migration]);
    } catch (error) {
      if (completed > 0) this.#committed.push(`${completed} of ${steps.length} statements of ${migration.name}`);
      throw error;
    }
    this.#committed.push(migration.name);
  }

  /** A migration that ends our transaction undoes those before it; one that leaves its own open is undone itself. */
  #checkTransaction(migration: Migration): void {
    if (this.#session.isIdle !== this.#inTransaction) return;
    throw new TenantError(this.#inTransaction ? endedTransaction(migration) : openTransaction(migration));
  }

  async #record(migrations: readonly Migration[]): Promise<void> {
    const names = migrations.map(({ name }) => name);
    const statement =
      this.#engine.direction === 'up' ? recordApplied(this.#tenant, migrations) : removeApplied(this.#tenant, names);
    await Promise.all([this.#session.raw(this.#prefix()), this.#session.query(statement)]);
  }

  async #begin(): Promise<void> {
    if (this.#inTransaction) return;
    await this.#session.raw('BEGIN');
    this.#inTransaction = true;
  }

  async #commit(): Promise<void> {
    const migrations = this.#unrecorded.splice(0);
    const recorded = migrations.length === 0 || !this.#inTransaction ? null : this.#record(migrations);
    recorded?.catch(() => {
      // It fails with 25P02 when a migration sent before it failed; that error is the one to tell.
    });
    await this.#settleSent();
    await recorded;
    if (!this.#inTransaction) return;
    this.#signal.throwIfAborted();
    this.#onStep('COMMIT');
    const { command } = await this.#session.raw('COMMIT');
    if (command !== 'COMMIT') throw new TenantError({ message: 'the server rolled the transaction back at COMMIT' });
    this.#inTransaction = false;
    this.#committed.push(...migrations.map(({ name }) => name));
  }

  /** Only migrations without a transaction leave something behind; then the operator must know what. */
  async #sayWhatStays(error: unknown): Promise<unknown> {
    if (this.#inTransaction && this.#committed.length === 0) return error;
    // The error comes first: a session that cannot answer any more must not hide it.
    const invalid = await findInvalidIndexes(this.#session, this.#tenant).catch(() => []);
    const { detail, hint, ...failure } = toFailure(error);
    const details = [
      ...(detail === undefined ? [] : [detail]),
      ...(this.#committed.length === 0 ? [] : [`already committed on this tenant: ${this.#committed.join(', ')}`]),
      ...(invalid.length === 0 ? [] : [`invalid indexes: ${invalid.join(', ')}`]),
    ];
    const advice = invalid.length === 0 ? hint : adviceOnInvalid(this.#tenant, invalid);
    return new TenantError(
      {
        ...failure,
        ...(details.length === 0 ? {} : { detail: details.join('; ') }),
        ...(advice === undefined ? {} : { hint: advice }),
      },
      { cause: error },
    );
  }
}

/** A migration in JavaScript may wait for something that never comes. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
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

function endedTransaction(migration: Migration) {
  return {
    message: 'the migration ended the tenant’s transaction',
    code: 'transaction-ended',
    file: migration.displayPath,
    hint: 'remove COMMIT and ROLLBACK from it; after a COMMIT, look at what stays on this tenant: the history does not tell',
  };
}

function openTransaction(migration: Migration) {
  return {
    message: 'the migration left a transaction open, which is rolled back',
    code: 'transaction-open',
    file: migration.displayPath,
    hint: 'remove BEGIN from it: without a transaction each statement stands alone',
  };
}

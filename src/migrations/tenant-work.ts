import { TenantError } from '../errors.ts';
import type { Tenant } from '../fleet/tenant.ts';
import { quoteIdentifier, quoteSearchPath } from '../postgres/identifiers.ts';
import type { Session } from '../postgres/session.ts';
import { sql } from '../postgres/sql.ts';
import type { Migration } from './folder.ts';
import { fakedRun, recordApplied, removeApplied } from './history.ts';
import type { Inspector } from './inspection.ts';
import type { BuildMigration } from './javascript.ts';

/** What is the same for all tenants of a run. */
export interface Engine {
  readonly direction: 'up' | 'down';
  /** Write the history only. */
  readonly fake: boolean;
  readonly inspector: Inspector;
  readonly build: BuildMigration;
}

/** How a change is to go on one tenant. Times in milliseconds. */
export interface ChangeSettings {
  /** Recorded with each migration. */
  readonly run: string;
  readonly lockTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly indexTimeoutMs: number;
  /** Aborted: nothing more is begun; what runs on the server then is the caller's to cancel. */
  readonly signal: AbortSignal;
  readonly onStep: (step: string) => void;
}

/** Statements of `prefix`. */
export const prefixStatements = 5;

/** One tenant's session while its migrations run: its settings, its transaction, its history. */
export class TenantWork {
  readonly session: Session;
  readonly tenant: Tenant;
  readonly engine: Engine;
  readonly settings: ChangeSettings;
  /** Does a transaction of ours stand open? The caller of a change has opened the first one. */
  inTransaction = true;
  #commitsBefore: number;

  constructor(session: Session, tenant: Tenant, engine: Engine, settings: ChangeSettings) {
    this.session = session;
    this.tenant = tenant;
    this.engine = engine;
    this.settings = settings;
    this.#commitsBefore = session.commits;
  }

  /** Each file, and the history, finds the tenant's own settings, whatever the file before did to them. */
  prefix(): string {
    const { role, searchPath } = this.tenant;
    const setRole = role === null ? 'RESET ROLE' : `SET ROLE ${quoteIdentifier(role)}`;
    const path = `SET search_path TO ${quoteSearchPath(searchPath)}`;
    return `RESET SESSION AUTHORIZATION; ${setRole}; ${path}; ${setTimeouts(this.settings)} `;
  }

  async begin(): Promise<void> {
    if (this.inTransaction) return;
    await this.session.raw('BEGIN');
    this.inTransaction = true;
    this.#commitsBefore = this.session.commits;
  }

  /** A migration has committed what ran in our transaction so far; the history does not tell. */
  get wasCommittedUnasked(): boolean {
    return this.inTransaction && this.session.commits > this.#commitsBefore;
  }

  /** A migration that ends our transaction undoes those before it; one that leaves its own open is undone itself. */
  checkTransaction(migration: Migration): void {
    if (this.session.isIdle !== this.inTransaction && !this.wasCommittedUnasked) return;
    throw new TenantError(this.inTransaction ? endedTransaction(migration) : openTransaction(migration));
  }

  /** Runs what nobody could look into, and makes sure that the transaction after it is the one before. */
  async keepingTransaction(migration: Migration, work: () => Promise<void>): Promise<void> {
    const before = await this.#readTransactionId();
    await work();
    this.checkTransaction(migration);
    // ROLLBACK AND CHAIN, or a BEGIN after it: those before it are undone, and would be recorded all the same.
    if ((await this.#readTransactionId()) !== before) throw new TenantError(endedTransaction(migration));
  }

  async #readTransactionId(): Promise<string | undefined> {
    const [row] = await this.session.query<{ id: string }>(sql`SELECT pg_catalog.txid_current()::text AS id`);
    return row?.id;
  }

  /** Writes to the history that these ran, or, on the way down, that they are taken back. */
  async record(migrations: readonly Migration[]): Promise<void> {
    const { direction, fake } = this.engine;
    const run = fake ? fakedRun(this.settings.run) : this.settings.run;
    const names = migrations.map(({ name }) => name);
    const statement =
      direction === 'up' ? recordApplied(this.tenant, migrations, run) : removeApplied(this.tenant, names);
    await Promise.all([this.session.raw(this.prefix()), this.session.query(statement)]);
  }

  /**
   * Runs what works CONCURRENTLY: it waits for other transactions without making anybody wait behind it. With a
   * lock_timeout it would end because of another tenant's long transaction, and leave an invalid index.
   */
  async withIndexTimeouts<T>(work: () => Promise<T>): Promise<T> {
    const { indexTimeoutMs } = this.settings;
    await this.session.raw(setTimeouts({ lockTimeoutMs: 0, statementTimeoutMs: indexTimeoutMs }));
    const result = await work();
    await this.session.raw(setTimeouts(this.settings));
    return result;
  }
}

function setTimeouts({
  lockTimeoutMs,
  statementTimeoutMs,
}: Pick<ChangeSettings, 'lockTimeoutMs' | 'statementTimeoutMs'>): string {
  return `SET lock_timeout = ${lockTimeoutMs}; SET statement_timeout = ${statementTimeoutMs};`;
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

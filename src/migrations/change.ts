import { TenantError } from '../errors.ts';
import type { Tenant } from '../fleet/tenant.ts';
import { quoteIdentifier, quoteSearchPath } from '../postgres/identifiers.ts';
import type { Session } from '../postgres/session.ts';
import type { Sql } from '../postgres/sql.ts';
import type { Migration } from './folder.ts';
import { recordApplied, removeApplied } from './history.ts';
import type { Inspector } from './inspection.ts';
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
  readonly #onStep: (step: string) => void;
  readonly #sent: Sent[] = [];
  readonly #unrecorded: Migration[] = [];
  readonly #committed: string[] = [];
  #inTransaction = true;

  constructor(session: Session, tenant: Tenant, engine: Engine, onStep: (step: string) => void) {
    this.#session = session;
    this.#tenant = tenant;
    this.#engine = engine;
    this.#onStep = onStep;
  }

  /** Runs the migrations and commits. `first` are statements that belong to the beginning of the transaction. */
  async run(migrations: readonly Migration[], first: readonly Sql[]): Promise<void> {
    try {
      await Promise.all(first.map((statement) => this.#session.query(statement)));
      for (const migration of migrations) await this.#runOne(migration);
      await this.#commit();
    } catch (error) {
      throw this.#sayWhatStays(error);
    }
  }

  async #runOne(migration: Migration): Promise<void> {
    if (this.#engine.fake) {
      this.#unrecorded.push(migration);
    } else if (migration.kind === 'js') {
      await this.#settleSent();
      await this.#runJavaScript(migration);
    } else if (migration.sql.usesTransaction) {
      await this.#begin();
      this.#send(migration);
      this.#unrecorded.push(migration);
    } else {
      await this.#runSingly(migration);
    }
  }

  /** Each file finds the tenant's own path and role, whatever the file before it did to them. */
  #prefix(): string {
    const role = this.#tenant.role === null ? '' : `SET ROLE ${quoteIdentifier(this.#tenant.role)}; `;
    return `SET search_path TO ${quoteSearchPath(this.#tenant.searchPath)}; ${role}`;
  }

  #section(migration: Migration): SqlSection {
    const section = migration.kind === 'sql' ? migration.sql[this.#engine.direction] : null;
    if (section === null) throw new TenantError(noDownSection(migration));
    return section;
  }

  #send(migration: Migration): void {
    if (this.#sent.length === 0) this.#onStep(migration.name);
    const section = this.#section(migration);
    const { statements } = this.#engine.inspector.inspect(migration, this.#engine.direction);
    const prefix = this.#prefix();
    const script = { prefix, prefixStatements: this.#tenant.role === null ? 1 : 2, ...section, statements };
    const position = this.#sent.length;
    const result = this.#session.script(prefix + section.text);
    const error = result.then((sent) => {
      if (sent.error !== null) return locateError(sent.error, migration, script, sent.completed);
      const next = this.#sent[position + 1];
      if (next !== undefined) this.#onStep(next.migration.name);
      return null;
    });
    this.#sent.push({ migration, error });
  }

  async #settleSent(): Promise<void> {
    for (const { migration, error } of this.#sent.splice(0)) {
      const failed = await error;
      if (failed === null) continue;
      this.#onStep(migration.name);
      throw failed;
    }
  }

  async #runJavaScript(migration: Migration): Promise<void> {
    const { build, direction } = this.#engine;
    await this.#begin();
    this.#onStep(migration.name);
    try {
      await this.#session.raw(this.#prefix());
      const { steps, usesTransaction } = await build(migration, direction, this.#session);
      if (!usesTransaction) await this.#commit();
      for (const step of steps) await this.#session.raw(step);
      if (usesTransaction) this.#unrecorded.push(migration);
      else await this.#recordAlone(migration);
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
    for (const statement of statements ?? [section]) {
      const sent: SentScript = { prefix: '', prefixStatements: 0, ...statement, statements: [statement] };
      const { error, completed } = await this.#session.script(statement.text);
      if (error !== null) throw locateError(error, migration, sent, completed);
    }
    await this.#recordAlone(migration);
  }

  async #recordAlone(migration: Migration): Promise<void> {
    await this.#session.query(this.#record([migration]));
    this.#committed.push(migration.name);
  }

  #record(migrations: readonly Migration[]): Sql {
    const names = migrations.map(({ name }) => name);
    return this.#engine.direction === 'up'
      ? recordApplied(this.#tenant, migrations)
      : removeApplied(this.#tenant, names);
  }

  async #begin(): Promise<void> {
    if (this.#inTransaction) return;
    await this.#session.raw('BEGIN');
    this.#inTransaction = true;
  }

  async #commit(): Promise<void> {
    const migrations = this.#unrecorded.splice(0);
    const recorded =
      migrations.length === 0 || !this.#inTransaction ? null : this.#session.query(this.#record(migrations));
    recorded?.catch(() => {
      // It fails with 25P02 when a migration sent before it failed; that error is the one to tell.
    });
    await this.#settleSent();
    await recorded;
    if (!this.#inTransaction) return;
    const { command } = await this.#session.raw('COMMIT');
    if (command !== 'COMMIT') throw new TenantError({ message: 'the server rolled the transaction back at COMMIT' });
    this.#inTransaction = false;
    this.#committed.push(...migrations.map(({ name }) => name));
  }

  /** Only migrations without a transaction leave something behind; then the operator must know what. */
  #sayWhatStays(error: unknown): unknown {
    if (this.#committed.length === 0 || !(error instanceof TenantError)) return error;
    const stays = `already committed on this tenant: ${this.#committed.join(', ')}`;
    const { detail } = error.failure;
    return new TenantError(
      { ...error.failure, detail: detail === undefined ? stays : `${detail}; ${stays}` },
      { cause: error.cause },
    );
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

import { RefusedError, TenantError } from '../errors.ts';
import type { Session } from '../postgres/session.ts';
import type { Migration, MigrationFolder } from './folder.ts';
import { Inspector } from './inspection.ts';
import { loadParser } from './statements.ts';

type Direction = 'up' | 'down';

interface Actions {
  readonly up?: unknown;
  readonly down?: unknown;
  readonly shorthands?: Record<string, unknown>;
}

type Action = (pgm: unknown, run?: () => void) => unknown;

/** What a JavaScript migration wants to run on one tenant. */
export interface BuiltMigration {
  readonly steps: readonly string[];
  readonly usesTransaction: boolean;
}

export type BuildMigration = (migration: Migration, direction: Direction, session: Session) => Promise<BuiltMigration>;

/**
 * Loads the folder's JavaScript and TypeScript migrations once a run, as node-pg-migrate does (jiti, shorthands that
 * add up from file to file), and builds their SQL with node-pg-migrate's own MigrationBuilder. The modules are shared
 * by all tenants. What would begin or end a transaction is refused before it is sent: the work before it would stay,
 * and run once more with the next attempt.
 */
export async function loadJavaScript(folder: MigrationFolder): Promise<BuildMigration> {
  const { MigrationBuilder, jiti } = await import('node-pg-migrate');
  const inspector = new Inspector(await loadParser());
  const modules = new Map<Migration, { readonly actions: Actions; readonly shorthands: Record<string, unknown> }>();
  let shorthands: Record<string, unknown> = {};
  for (const migration of folder.migrations) {
    if (migration.kind !== 'js') continue;
    const actions = await load(migration, (file) => jiti.import(file));
    shorthands = { ...shorthands, ...actions.shorthands };
    modules.set(migration, { actions, shorthands });
  }
  return async (migration, direction, session) => {
    const loaded = modules.get(migration);
    if (loaded === undefined) throw new Error(`${migration.displayPath} was not loaded`);
    const refuse = (text: unknown) => refuseTransactionControl(text, migration, inspector);
    const database = databaseFor(session, refuse);
    const pgm = new MigrationBuilder(database as never, loaded.shorthands as never, false, silentLogger);
    const action = chooseAction(loaded.actions, direction, migration);
    if (direction === 'down' && !isAction(loaded.actions.down)) pgm.enableReverseMode();
    await perform(action, pgm);
    const [steps, usesTransaction] = [pgm.getSqlSteps(), pgm.isUsingTransaction()];
    if (usesTransaction) steps.forEach(refuse);
    return { steps, usesTransaction };
  };
}

/** A file that cannot be loaded is one that no tenant can run. */
async function load(migration: Migration, importFile: (file: string) => Promise<unknown>): Promise<Actions> {
  try {
    return (await importFile(migration.path)) as Actions;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RefusedError(`${migration.displayPath} cannot be loaded: ${reason}`, {
      hint: 'all files in JavaScript and TypeScript are loaded when one of them is to run: mend it, or take it away',
      cause,
    });
  }
}

/** A migration in JavaScript may wait for something that never comes. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
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

/** As in node-pg-migrate, a missing `down` means: the reverse of `up`; `false` forbids the direction. */
function chooseAction(actions: Actions, direction: Direction, migration: Migration): Action {
  const action = direction === 'down' && actions.down === undefined ? actions.up : actions[direction];
  if (isAction(action)) return action;
  throw new Error(
    action === false
      ? `${migration.displayPath} forbids going ${direction}`
      : `${migration.displayPath} does not export a function named ${direction}`,
  );
}

function isAction(value: unknown): value is Action {
  return typeof value === 'function';
}

async function perform(action: Action, pgm: unknown): Promise<void> {
  if (action.length === 2) await new Promise<void>((resolve) => action(pgm, resolve));
  else await action(pgm);
}

/** `pgm.db` of a migration: its queries run in the tenant's own session and transaction. */
function databaseFor(session: Session, refuse: (text: unknown) => void) {
  const query = async (statement: string | { readonly text?: unknown }, values?: unknown[]) => {
    refuse(typeof statement === 'string' ? statement : statement?.text);
    return session.raw(statement as string, values);
  };
  const select = async (statement: string, values?: unknown[]) => (await query(statement, values)).rows;
  return { query, select };
}

function refuseTransactionControl(text: unknown, migration: Migration, inspector: Inspector): void {
  if (typeof text !== 'string' || !inspector.mayEndTransaction(text)) return;
  throw new TenantError({
    message: 'transaction control inside a migration would end the tenant’s own transaction half-way',
    code: 'transaction-ended',
    file: migration.displayPath,
    hint: 'remove BEGIN, COMMIT and ROLLBACK from it: each tenant is one transaction anyway, and pgm.noTransaction() sends each statement alone',
  });
}

const nothing = () => {};
const silentLogger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

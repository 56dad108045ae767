import { RefusedError } from '../errors.ts';
import type { Session } from '../postgres/session.ts';
import type { Migration, MigrationFolder } from './folder.ts';

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
 * by all tenants.
 */
export async function loadJavaScript(folder: MigrationFolder): Promise<BuildMigration> {
  const { MigrationBuilder, jiti } = await import('node-pg-migrate');
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
    const pgm = new MigrationBuilder(databaseFor(session) as never, loaded.shorthands as never, false, silentLogger);
    const action = chooseAction(loaded.actions, direction, migration);
    if (direction === 'down' && !isAction(loaded.actions.down)) pgm.enableReverseMode();
    await perform(action, pgm);
    return { steps: pgm.getSqlSteps(), usesTransaction: pgm.isUsingTransaction() };
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
function databaseFor(session: Session) {
  const query = (statement: never, values?: unknown[]) => session.raw(statement, values);
  const select = async (statement: never, values?: unknown[]) => (await session.raw(statement, values)).rows;
  return { query, select };
}

const nothing = () => {};
const silentLogger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

import { programEnv } from '../../postgres/program-env.ts';
import { createScratchDatabase, dropScratchDatabase } from '../../postgres/scratch-database.ts';
import type { Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connection-settings.ts';
import { sql } from '../../postgres/sql.ts';
import { applicationName } from '../../postgres/tenant-session.ts';
import { claimRun, dropLeftovers, markDatabase } from './leftovers.ts';
import type { ScratchDatabase, ScratchServer } from './scratch.ts';

/** How the databases of a server are reached. */
export interface ScratchAccess {
  connect(database: string): Promise<Session>;
  settings(database: string): ConnectionSettings;
}

export interface ScratchServerOptions {
  readonly name: string;
  readonly isTemporary: boolean;
  readonly access: ScratchAccess;
  /** A database that is there: the one of the server's url. */
  readonly database: string;
  readonly run: string;
  /** The caller's environment, for PostgreSQL's programs. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Opens a server for scratch databases, and drops those that killed runs have left there. */
export async function openScratchServer(options: ScratchServerOptions): Promise<ScratchServer> {
  const { name, isTemporary, access, database, run } = options;
  const admin = await access.connect(database);
  try {
    const [facts] = await admin.query<{ number: number; version: string }>(sql`
      SELECT pg_catalog.current_setting('server_version_num')::int AS number,
             pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1) AS version`);
    if (facts === undefined) throw new Error(`server ${name} does not say its version`);
    await admin.raw(
      `SELECT pg_catalog.set_config('application_name', $1, false),
      pg_catalog.set_config('statement_timeout', '0', false), pg_catalog.set_config('lock_timeout', '0', false),
      pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false)`,
      [applicationName(run, 'scratch')],
    );
    await claimRun(admin, run);
    if (!isTemporary) await dropLeftovers(admin);
    const facets = { name, major: Math.floor(facts.number / 10_000), isTemporary };
    return new OpenScratchServer({ ...facets, version: facts.version }, admin, options);
  } catch (error) {
    await admin.end();
    throw error;
  }
}

class OpenScratchServer implements ScratchServer {
  readonly name: string;
  readonly major: number;
  readonly version: string;
  readonly isTemporary: boolean;
  readonly #admin: Session;
  readonly #options: ScratchServerOptions;
  readonly #databases = new Set<string>();
  #count = 0;
  /** CREATE and DROP DATABASE take no other statement beside them on their session. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    facts: Pick<ScratchServer, 'name' | 'major' | 'version' | 'isTemporary'>,
    admin: Session,
    options: ScratchServerOptions,
  ) {
    this.name = facts.name;
    this.major = facts.major;
    this.version = facts.version;
    this.isTemporary = facts.isTemporary;
    this.#admin = admin;
    this.#options = options;
  }

  async createDatabase(): Promise<ScratchDatabase> {
    const { access, run, env } = this.#options;
    this.#count += 1;
    const name = `tenantctl_verify_${run}_${this.#count}`;
    this.#databases.add(name);
    await this.#inTurn(async () => {
      await createScratchDatabase(this.#admin, name);
      await markDatabase(this.#admin, name, run);
    });
    const settings = access.settings(name);
    return {
      name,
      server: this,
      env: await programEnv(settings, this.#admin, { env, applicationName: applicationName(run, 'verify') }),
      connect: async () => {
        const session = await access.connect(name);
        // What the login role or the server has as timeouts is meant for other work.
        await session.raw(`SELECT pg_catalog.set_config('statement_timeout', '0', false),
          pg_catalog.set_config('lock_timeout', '0', false), pg_catalog.set_config('jit', 'off', false),
          pg_catalog.set_config('row_security', 'off', false), pg_catalog.set_config('search_path', 'pg_catalog', false),
          pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false)`);
        return session;
      },
      drop: () => this.#drop(name),
    };
  }

  async close(): Promise<void> {
    try {
      // A server of our own goes as a whole.
      if (!this.isTemporary) for (const name of this.#databases) await this.#drop(name);
    } finally {
      await this.#admin.end();
    }
  }

  async #drop(name: string): Promise<void> {
    await this.#inTurn(() => dropScratchDatabase(this.#admin, name));
    this.#databases.delete(name);
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }
}

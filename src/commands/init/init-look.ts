import type { Context } from '../../context.ts';
import { RefusedError, StoppedError, TenantError, UsageError } from '../../errors.ts';
import { type Proposal, proposeDiscovery } from '../../fleet/inventory/propose-discovery.ts';
import { toFailure } from '../../postgres/failure.ts';
import { readDatabases, readSchemas, type SchemaInfo } from '../../postgres/server-contents.ts';
import { Servers } from '../../postgres/servers.ts';
import { SessionPools } from '../../postgres/session-pools.ts';
import type { ConnectionSettings } from '../../postgres/settings/connection-settings.ts';
import { describeConnection } from '../../postgres/settings/describe.ts';
import { isLocalHost } from '../../postgres/settings/local-host.ts';
import { resolveConnection } from '../../postgres/settings/resolve-connection.ts';
import { namesDatabase, shareableConninfo } from '../../postgres/settings/shareable-conninfo.ts';
import { applicationName, prepareReader } from '../../postgres/tenant-session.ts';

export interface LookOptions {
  readonly serverId: string;
  /** As it was typed; null: PG* variables and defaults. */
  readonly url: string | null;
  readonly patterns: { readonly schemas: string | null; readonly databases: string | null };
}

/** What was seen on a live server. */
export interface Look {
  /** Without secrets, for people. */
  readonly address: string;
  /** Without secrets, for the file. */
  readonly url: string;
  readonly removed: readonly string[];
  readonly isLocal: boolean;
  readonly versionNum: number;
  readonly databases: readonly string[];
  readonly schemasOf: (database: string) => Promise<readonly SchemaInfo[]>;
  readonly proposal: Proposal;
}

const connectTimeoutMs = 10_000;
/** Databases that are looked into at once. */
const sessions = 4;

/** Connects to one server and looks at its databases and schemas. Throws a TenantError when it cannot be reached. */
export async function lookAtServer(context: Context, baseDir: string, options: LookOptions): Promise<Look> {
  const settings = connectionOf(context, baseDir, options);
  const { serverId } = options;
  const name = applicationName(null, 'init');
  const { stop } = context.interrupts;
  // It only reads: nothing is lost by leaving at the first Ctrl-C.
  const servers = new Servers(() => settings, { applicationName: name, cut: stop });
  const limit = () => Math.max(1, Math.min(sessions, Math.floor((servers.facts(serverId)?.freeConnections ?? 2) / 2)));
  const pools = new SessionPools((server, database) => servers.connect(server, database), limit);
  const known = new Map<string, Promise<readonly SchemaInfo[]>>();
  const schemasOf = (database: string) => {
    const reading = known.get(database) ?? readSchemasOf(database);
    known.set(database, reading);
    return reading;
  };
  const readSchemasOf = (database: string) =>
    pools.use(serverId, database, async (session) => {
      await prepareReader(session, name);
      return readSchemas(session);
    });
  try {
    const databases = await pools.use(serverId, settings.database, async (session) => {
      await prepareReader(session, name);
      return readDatabases(session);
    });
    const proposal = await proposeDiscovery({ databases, readSchemas: schemasOf, patterns: options.patterns });
    return {
      ...shareableConninfo(options.url, context.env, settings),
      address: describeConnection(settings),
      isLocal: settings.hosts.every(isLocalHost),
      versionNum: servers.facts(serverId)?.versionNum ?? 0,
      databases,
      schemasOf,
      proposal,
    };
  } catch (error) {
    throw stop.aborted ? nothingWritten() : explain(error, settings);
  } finally {
    await pools.closeAll();
  }
}

function connectionOf(
  { env, homeDir, osUser, emit }: Context,
  baseDir: string,
  options: LookOptions,
): ConnectionSettings {
  const { url: conninfo, serverId } = options;
  const settings = resolveConnection({
    serverId,
    conninfo,
    env,
    homeDir,
    baseDir,
    osUser,
    connectTimeoutMs,
    password: null,
    ...(namesDatabase(conninfo, env) ? {} : { database: 'postgres' }),
  });
  for (const message of settings.warnings) emit({ type: 'notice', level: 'warning', message });
  return settings;
}

export function nothingWritten(): StoppedError {
  return new StoppedError('interrupted: nothing was written');
}

/** There is no inventory yet that a hint could point to. */
function explain(error: unknown, settings: ConnectionSettings): unknown {
  if (error instanceof RefusedError || error instanceof UsageError) return error;
  const failure = toFailure(error);
  const isAboutPassword = failure.code === 'password-missing' || failure.sqlState?.startsWith('28') === true;
  return new TenantError(
    {
      ...failure,
      message: `cannot look at ${describeConnection(settings)}: ${failure.message}`,
      hint: isAboutPassword
        ? 'check user and password: --url, PGUSER, PGPASSWORD or ~/.pgpass'
        : 'name the server with --url postgres://user@host:port/database, or with PGHOST, PGPORT, PGUSER, PGDATABASE',
    },
    { cause: error },
  );
}

import { resolve } from 'node:path';
import type { SecureContext } from 'node:tls';
import { UsageError } from '../../errors.ts';
import { parseRequireAuth } from './authentication.ts';
import { choose, wholeNumber } from './choices.ts';
import { type ConnectionSettings, targetSessionAttrs } from './connection-settings.ts';
import { parseConninfo } from './conninfo.ts';
import { defaultSocketDirs, isSocket, resolveHosts } from './hosts.ts';
import { isIgnored, isRefused, type KeywordMap, keywordsFromEnv } from './keywords.ts';
import { defaultPasswordFile, findPassword, type PasswordFile, readPasswordFile } from './password-file.ts';
import type { PasswordCache, PasswordSource } from './password-sources.ts';
import { readService } from './service-file.ts';
import { createTlsContext } from './tls-context.ts';
import { type Folders, resolveTls } from './tls-settings.ts';

/** Unless keepalives_idle is set: the two hours of most systems are too long to notice that a network is gone. */
const keepAliveIdleS = 60;

export interface ConnectionInput extends Folders {
  readonly serverId: string;
  /** The inventory's `url`; null: service file, PG* variables and defaults alone. */
  readonly conninfo: string | null;
  /** Instead of the one that the settings name. */
  readonly database?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly osUser: string;
  /** Unless connect_timeout is set. */
  readonly connectTimeoutMs: number;
  /** The inventory's `password`; it goes before every other. */
  readonly password?: { readonly source: PasswordSource; readonly cache: PasswordCache } | null;
  /** Where to look for a local server: the first folder that exists. */
  readonly socketDirs?: readonly string[];
}

/**
 * What an operator's settings mean, as libpq would read them: the connection string, then its service, then PG*
 * variables, then defaults. Reads files, opens no connection, runs no command. Throws a UsageError that names the server.
 */
export function resolveConnection(input: ConnectionInput): ConnectionSettings {
  try {
    return resolveSettings(input);
  } catch (error) {
    if (!(error instanceof UsageError) || error.message.startsWith(`server ${input.serverId}: `)) throw error;
    const { hint, details, cause } = error;
    const rest = { details, cause, ...(hint === undefined ? {} : { hint }) };
    throw new UsageError(`server ${input.serverId}: ${error.message}`, rest);
  }
}

function resolveSettings(input: ConnectionInput): ConnectionSettings {
  const { serverId, osUser } = input;
  const settings = mergeSources(input);
  for (const [keyword, value] of settings) {
    if (isRefused(keyword, value)) {
      throw new UsageError(`the setting ${keyword} is not supported`, { hint: 'remove it; PG* variables count too' });
    }
  }
  const socketDirs = input.socketDirs ?? defaultSocketDirs;
  const hosts = resolveHosts(settings, socketDirs);
  const tls = resolveTls(settings, input);
  const tlsContext = once(() => createTlsContext(tls, settings.get('sslpassword') || null));
  // A wrong certificate is told now, not once a tenant.
  if (tls.mode !== 'disable' && !hosts.every(isSocket)) tlsContext();
  const user = settings.get('user') || osUser;
  const usesTls = !['disable', 'allow'].includes(tls.mode);
  const passwords = passwordFinder({ ...input, usesTls }, settings, user, socketDirs);
  const timeoutS = wholeNumber(settings, 'connect_timeout');
  const forDatabase = (database: string): ConnectionSettings => ({
    serverId,
    hosts,
    user,
    database,
    options: settings.get('options') ?? null,
    targetSessionAttrs: choose(settings, 'target_session_attrs', targetSessionAttrs, 'any'),
    loadBalanceHosts: choose(settings, 'load_balance_hosts', ['disable', 'random'], 'disable') === 'random',
    connectTimeoutMs: timeoutS === null ? input.connectTimeoutMs : Math.max(0, timeoutS) * 1000,
    keepAlive: wholeNumber(settings, 'keepalives') !== 0,
    keepAliveIdleMs: Math.max(0, wholeNumber(settings, 'keepalives_idle') ?? keepAliveIdleS) * 1000,
    tls,
    authentication: {
      channelBinding: choose(settings, 'channel_binding', ['disable', 'prefer', 'require'], 'prefer'),
      requireAuth: parseRequireAuth(settings.get('require_auth')),
    },
    warnings: passwords.warnings,
    password: (host, port) => passwords.find(host, port, database),
    tlsContext,
    forDatabase,
  });
  return forDatabase(input.database ?? (settings.get('dbname') || user));
}

/** Later ones win. What tenantctl sets itself is left out here. */
function mergeSources(input: ConnectionInput): KeywordMap {
  const { env } = input;
  const explicit: KeywordMap = input.conninfo === null ? new Map() : parseConninfo(input.conninfo);
  const fromEnv = keywordsFromEnv(env);
  const serviceFile = explicit.get('servicefile') || fromEnv.get('servicefile');
  const service = explicit.get('service') ?? fromEnv.get('service') ?? '';
  const fromService: KeywordMap =
    service === ''
      ? new Map()
      : readService({
          service,
          file: serviceFile ? resolve(input.baseDir, serviceFile) : null,
          homeDir: input.homeDir,
          sysconfDir: env.PGSYSCONFDIR || null,
        });
  return new Map([...fromEnv, ...fromService, ...explicit].filter(([keyword]) => !isIgnored(keyword)));
}

interface PasswordFinder {
  readonly warnings: readonly string[];
  readonly find: (host: string, port: number, database: string) => Promise<string | null>;
}

/** The inventory's source, then what the settings hold, then the password file. */
function passwordFinder(
  input: ConnectionInput & { readonly usesTls: boolean },
  settings: KeywordMap,
  user: string,
  socketDirs: readonly string[],
): PasswordFinder {
  const { serverId, password } = input;
  if (password !== undefined && password !== null) {
    const { source, cache } = password;
    cache.check(serverId, source, input);
    return { warnings: [], find: async (host, port) => cache.get({ serverId, source, host, port, user }) };
  }
  const given = settings.get('password');
  if (given !== undefined && given !== '') return { warnings: [], find: async () => given };
  const { entries, warning } = readFile(input, settings);
  return {
    warnings: warning === null ? [] : [warning],
    find: async (host, port, database) => findPassword(entries, { host, port, database, user }, socketDirs),
  };
}

function readFile(input: ConnectionInput, settings: KeywordMap): PasswordFile {
  const named = settings.get('passfile');
  return readPasswordFile(named ? resolve(input.baseDir, named) : defaultPasswordFile(input.homeDir, input.env));
}

function once(make: () => SecureContext): () => SecureContext {
  let made: SecureContext | null = null;
  return () => {
    made ??= make();
    return made;
  };
}

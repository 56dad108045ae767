import type { ConnectionSettings } from './connection-settings.ts';
import { parseConninfo } from './conninfo.ts';
import { formatConninfoUrl } from './format-conninfo.ts';
import { type Keyword, type KeywordMap, keywordsFromEnv, secretKeywords } from './keywords.ts';

export interface ShareableConninfo {
  /** Leads to the same server from another shell, and holds no secret. */
  readonly url: string;
  /** Secrets that the connection string held and the url does not. */
  readonly removed: readonly Keyword[];
}

/**
 * What can be written into a file that others read, for a connection that works here: what was typed, what PG* variables
 * said, and what was left to defaults, without the secrets. A service stays a service, for it is shared already.
 */
export function shareableConninfo(
  conninfo: string | null,
  env: Readonly<Record<string, string | undefined>>,
  settings: ConnectionSettings,
): ShareableConninfo {
  const typed: KeywordMap = conninfo === null ? new Map() : parseConninfo(conninfo);
  const fromEnv = keywordsFromEnv(env);
  const service = typed.get('service') ?? fromEnv.get('service');
  const complete: KeywordMap = service
    ? new Map([['service', service] as const, ...typed])
    : new Map([...defaultsOf(settings, typed, fromEnv), ...fromEnv, ...typed]);
  const shareable = [...complete].filter(([keyword]) => !secretKeywords.includes(keyword));
  return {
    url: formatConninfoUrl(new Map(shareable)),
    removed: secretKeywords.filter((keyword) => Boolean(typed.get(keyword))),
  };
}

/** Parts that were not said anywhere, or said as nothing. */
function defaultsOf({ hosts, user, database }: ConnectionSettings, ...said: readonly KeywordMap[]): KeywordMap {
  const isSaid = (keyword: Keyword) => said.some((map) => map.get(keyword));
  const defaults = new Map<Keyword, string>();
  if (!isSaid('host') && !isSaid('hostaddr')) defaults.set('host', hosts.map(({ host }) => host).join(','));
  if (!isSaid('port')) defaults.set('port', hosts.map(({ port }) => port).join(','));
  if (!isSaid('user')) defaults.set('user', user);
  if (!isSaid('dbname')) defaults.set('dbname', database);
  return defaults;
}

/** Whether a database was named anywhere; without one libpq takes the user's name, which few servers have. */
export function namesDatabase(conninfo: string | null, env: Readonly<Record<string, string | undefined>>): boolean {
  const maps = [conninfo === null ? new Map<Keyword, string>() : parseConninfo(conninfo), keywordsFromEnv(env)];
  return maps.some((map) => Boolean(map.get('dbname') || map.get('service')));
}

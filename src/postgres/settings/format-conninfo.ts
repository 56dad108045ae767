import { isIPv6 } from 'node:net';
import type { Keyword, KeywordMap } from './keywords.ts';

/** A `postgres://` URL that `parseConninfo` reads back as these settings. Whoever calls it takes the secrets out first. */
export function formatConninfoUrl(settings: KeywordMap): string {
  const authority = formatHosts(settings);
  const user = settings.get('user');
  const database = settings.get('dbname');
  const inUrl = new Set<Keyword>([
    ...(user ? (['user'] as const) : []),
    ...(database ? (['dbname'] as const) : []),
    ...(authority === null ? [] : (['host', 'port'] as const)),
  ]);
  const parameters = [...settings]
    .filter(([keyword]) => !inUrl.has(keyword))
    .map(([keyword, value]) => `${keyword}=${encodeURIComponent(value).replaceAll('%2F', '/')}`);
  const start = `postgres://${user ? `${encodeURIComponent(user)}@` : ''}${authority ?? ''}`;
  const path = `/${database ? encodeURIComponent(database) : ''}`;
  return `${start}${path}${parameters.length === 0 ? '' : `?${parameters.join('&')}`}`;
}

/** `db-1:5432,db-2:5433`; null when the hosts must be parameters: sockets, and hosts and ports that do not pair up. */
function formatHosts(settings: KeywordMap): string | null {
  const hosts = settings.get('host')?.split(',') ?? [];
  const ports = settings.get('port')?.split(',') ?? hosts.map(() => '');
  const isPlain = hosts.every((host) => isIPv6(host) || /^[\w.-]+$/.test(host));
  if (hosts.length === 0 || hosts.length !== ports.length || !isPlain) return null;
  if (!ports.every((port) => /^\d*$/.test(port))) return null;
  return hosts
    .map((host, i) => `${isIPv6(host) ? `[${host}]` : host}${ports[i] === '' ? '' : `:${ports[i]}`}`)
    .join(',');
}

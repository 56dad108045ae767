import type { ClientConfig } from 'pg';
import type { ConnectionSettings } from './connection-settings.ts';
import type { HostSettings } from './hosts.ts';
import { missingPassword } from './password-sources.ts';
import type { TlsAttempt } from './tls-attempts.ts';

export interface PgConfigOptions {
  /** 63 bytes, ASCII. Not empty, or node-postgres would take PGAPPNAME. */
  readonly applicationName: string;
}

/**
 * The configuration for one connection of node-postgres. The library reads PG* variables and ~/.pgpass for each field that is
 * missing *or empty*, so every field it would look up is set; the two that are left (PGREPLICATION, PGBINARY) are not libpq's.
 */
export function toPgConfig(
  settings: ConnectionSettings,
  host: HostSettings,
  attempt: TlsAttempt,
  options: PgConfigOptions,
): ClientConfig {
  return {
    host: host.hostaddr ?? host.host,
    port: host.port,
    user: settings.user,
    database: settings.database,
    // A function also keeps the library from its own .pgpass, and is called only when the server asks.
    password: async () => {
      const password = await settings.password(host.host, host.port);
      if (password === null || password === '') throw missingPassword(settings.serverId, settings.user);
      return password;
    },
    ssl: attempt.ssl,
    sslnegotiation: attempt.encrypted ? settings.tls.negotiation : 'postgres',
    enableChannelBinding: attempt.encrypted && settings.authentication.channelBinding !== 'disable',
    // Set to nothing is not the same as not set: a blank says "no options" and stops the lookup of PGOPTIONS.
    options: settings.options === '' ? ' ' : (settings.options ?? undefined),
    application_name: options.applicationName,
    client_encoding: 'UTF8',
    connectionTimeoutMillis: settings.connectTimeoutMs,
    keepAlive: settings.keepAlive,
    keepAliveInitialDelayMillis: settings.keepAliveIdleMs,
  };
}

/** The order in which to try the hosts of one connection. `random` gives numbers from 0 to 1, as Math.random. */
export function orderHosts(settings: ConnectionSettings, random: () => number): readonly HostSettings[] {
  if (!settings.loadBalanceHosts) return settings.hosts;
  return settings.hosts
    .map((host) => ({ host, rank: random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ host }) => host);
}

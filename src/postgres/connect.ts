import { TenantError } from '../errors.ts';
import { isRefusedLogin, toFailure } from './failure.ts';
import { Session } from './session.ts';
import { type AuthenticationEvents, guardAuthentication } from './settings/authentication.ts';
import type { ConnectionSettings, TargetSessionAttrs } from './settings/connection-settings.ts';
import { describeHost } from './settings/describe.ts';
import type { HostSettings } from './settings/hosts.ts';
import { orderHosts, toPgConfig } from './settings/pg-config.ts';
import { isWorthNextAttempt, tlsAttempts, watchTlsAnswer } from './settings/tls-attempts.ts';
import { sql } from './sql.ts';
import { errorCode, isTooManyConnections } from './sqlstates.ts';

export interface SessionOptions {
  /** For pg_stat_activity until the session is made ready for a tenant. */
  readonly applicationName: string;
  /** Aborted: the connection is dropped at once. */
  readonly cut?: AbortSignal;
}

/**
 * Opens a session as libpq would: the hosts in order, each in the ways that sslmode allows, until one is what
 * target_session_attrs asks for (that is what a failover needs). Rejects with the first host's error.
 */
export async function connect(settings: ConnectionSettings, options: SessionOptions): Promise<Session> {
  const hosts = orderHosts(settings, Math.random);
  const { targetSessionAttrs: wanted } = settings;
  if (wanted !== 'prefer-standby') return connectToFirst(settings, hosts, wanted, options);
  try {
    return await connectToFirst(settings, hosts, 'standby', options);
  } catch {
    return connectToFirst(settings, hosts, 'any', options);
  }
}

async function connectToFirst(
  settings: ConnectionSettings,
  hosts: readonly HostSettings[],
  wanted: TargetSessionAttrs,
  options: SessionOptions,
): Promise<Session> {
  const errors: unknown[] = [];
  for (const host of hosts) {
    try {
      return await connectToFitting(settings, host, wanted, options);
    } catch (error) {
      errors.push(error);
      // A login that one host refuses, the others refuse too; asking them would only fill their logs.
      if (errorCode(error)?.startsWith('28')) break;
    }
  }
  if (errors.length <= 1) throw errors[0] ?? new TenantError({ message: `server ${settings.serverId} has no host` });
  // A full host is worth waiting for, and one that refuses this login is there, whatever the others say.
  const cause = errors.find(isTooManyConnections) ?? errors.find(isRefusedLogin) ?? errors[0];
  const reasons = errors.map((error) => toFailure(error).message).join('; ');
  const message = `no host of server ${settings.serverId} will do: ${reasons}`;
  throw new TenantError({ ...toFailure(cause), message }, { cause });
}

async function connectToFitting(
  settings: ConnectionSettings,
  host: HostSettings,
  wanted: TargetSessionAttrs,
  options: SessionOptions,
): Promise<Session> {
  const session = await connectToHost(settings, host, options);
  let isFit = false;
  try {
    isFit = await fits(session, wanted);
    if (isFit) return session;
  } finally {
    if (!isFit) await session.end();
  }
  throw new TenantError({ message: `${describeHost(host)} is not ${wanted}`, code: 'wrong-host' });
}

async function connectToHost(
  settings: ConnectionSettings,
  host: HostSettings,
  options: SessionOptions,
): Promise<Session> {
  let firstError: unknown = null;
  for (const attempt of tlsAttempts(settings, host)) {
    const { stream, answer } = watchTlsAnswer();
    const config = { ...toPgConfig(settings, host, attempt, options), stream };
    try {
      const session = await Session.connect(config, {
        ...options,
        guard: (it) => guardAuthentication(it as AuthenticationEvents, settings),
      });
      session.host = host;
      return session;
    } catch (error) {
      firstError ??= error;
      // Who did not answer in time will not answer in another way.
      if (errorCode(error) === 'ETIMEDOUT' || !isWorthNextAttempt(attempt, error, answer())) break;
    }
  }
  throw firstError;
}

async function fits(session: Session, wanted: TargetSessionAttrs): Promise<boolean> {
  if (wanted === 'any') return true;
  const [row] = await session.query<{ standby: boolean; read_only: boolean }>(sql`
    SELECT pg_catalog.pg_is_in_recovery() AS standby,
           pg_catalog.current_setting('default_transaction_read_only')::bool AS read_only`);
  const { standby = false, read_only: readOnly = false } = row ?? {};
  switch (wanted) {
    case 'primary':
      return !standby;
    case 'standby':
      return standby;
    case 'read-only':
      return standby || readOnly;
    default:
      return !standby && !readOnly;
  }
}

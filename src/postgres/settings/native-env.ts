import { devNull } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../../errors.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import { type HostSettings, isSocket } from './hosts.ts';

export interface NativeEnvOptions {
  /** The caller's environment: all of it is handed on but its PG* variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** From `settings.password()`. A tool that is given none must run with --no-password. */
  readonly password: string | null;
  readonly applicationName: string;
}

/**
 * The environment in which pg_dump, psql and the like reach the very server that a session found. Nothing of it needs to
 * stand in an argv.
 */
export function toNativeEnv(
  settings: ConnectionSettings,
  host: HostSettings,
  options: NativeEnvOptions,
): Readonly<Record<string, string>> {
  const timeoutS = Math.ceil(settings.connectTimeoutMs / 1000);
  return {
    ...withoutPgVariables(options.env),
    ...given({
      PGHOST: host.host,
      PGHOSTADDR: host.hostaddr,
      PGPORT: String(host.port),
      PGUSER: settings.user,
      PGDATABASE: settings.database,
      PGOPTIONS: settings.options,
      PGAPPNAME: options.applicationName,
      PGCLIENTENCODING: 'UTF8',
      // libpq takes 1 for 2 anyway, and 0 for ever.
      PGCONNECT_TIMEOUT: String(timeoutS === 0 ? 0 : Math.max(2, timeoutS)),
      PGTARGETSESSIONATTRS: settings.targetSessionAttrs,
      PGCHANNELBINDING: settings.authentication.channelBinding,
      PGREQUIREAUTH: settings.authentication.requireAuth,
      // node-postgres knows no GSS: the tool connects as the session did.
      PGGSSENCMODE: 'disable',
      PGPASSWORD: options.password,
      // A path that cannot exist: libpq warns about a device, and reads ~/.pgpass when this is empty.
      PGPASSFILE: join(devNull, 'none'),
      ...(isSocket(host) ? { PGSSLMODE: 'disable' } : tlsVariables(settings)),
    }),
  };
}

function tlsVariables(settings: ConnectionSettings): Record<string, string | null> {
  const { tls } = settings;
  if (tls.hasKeyPassword) {
    throw new UsageError(
      `server ${settings.serverId}: PostgreSQL's own programs cannot be given sslpassword in secret`,
      {
        hint: 'use a private key without a password, readable by its owner alone',
      },
    );
  }
  return {
    PGSSLMODE: tls.mode,
    PGSSLNEGOTIATION: tls.negotiation,
    PGSSLROOTCERT: tls.rootCert,
    PGSSLCERT: tls.cert,
    PGSSLKEY: tls.key,
    PGSSLCRL: tls.crl,
    PGSSLCERTMODE: tls.cert === null ? 'disable' : 'allow',
    PGSSLMINPROTOCOLVERSION: tls.minVersion,
    PGSSLMAXPROTOCOLVERSION: tls.maxVersion,
  };
}

function withoutPgVariables(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && !isPgVariable(entry[0])),
  );
}

function isPgVariable(name: string): boolean {
  return name.toUpperCase().startsWith('PG');
}

function given(variables: Readonly<Record<string, string | null>>): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).filter((entry): entry is [string, string] => Boolean(entry[1])));
}

import type { SecureContext } from 'node:tls';
import type { HostSettings } from './hosts.ts';
import type { TlsSettings } from './tls-settings.ts';

export const targetSessionAttrs = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;
export type TargetSessionAttrs = (typeof targetSessionAttrs)[number];

/** How the server may ask for a password: libpq's require_auth. */
export interface AuthenticationRules {
  readonly channelBinding: 'disable' | 'prefer' | 'require';
  /** As written, for native tools; null allows all. */
  readonly requireAuth: string | null;
}

/**
 * Everything that is known about how to reach one database. Plain data that can be logged: what is secret lives in the
 * closures of its functions.
 */
export interface ConnectionSettings {
  /** For messages. */
  readonly serverId: string;
  /** To be tried in this order. */
  readonly hosts: readonly HostSettings[];
  readonly user: string;
  readonly database: string;
  /** Startup options such as `-c work_mem=64MB`; null when there are none. */
  readonly options: string | null;
  readonly targetSessionAttrs: TargetSessionAttrs;
  /** Try the hosts in random order. */
  readonly loadBalanceHosts: boolean;
  /** For one host; 0 waits for ever. */
  readonly connectTimeoutMs: number;
  readonly keepAlive: boolean;
  /** Quiet time before the first probe; 0 is the system's. */
  readonly keepAliveIdleMs: number;
  readonly tls: TlsSettings;
  readonly authentication: AuthenticationRules;
  /** What the operator should know: a password file that was ignored. */
  readonly warnings: readonly string[];
  /** The password for a host (its name, or hostaddr when it has none); null when none is known. Rejects when a source fails. */
  readonly password: (host: string, port: number) => Promise<string | null>;
  /** Certificates and keys, read once. Only asked for by connections that use TLS. */
  readonly tlsContext: () => SecureContext;
  /** The same server, another database: certificates and password files are not read again. */
  readonly forDatabase: (database: string) => ConnectionSettings;
}

import type { Labels } from '../tenant.ts';
import type { BackupSettings } from './backups.ts';
import type { HibernatePolicy } from './hibernate.ts';
import type { Rollout } from './rollout.ts';

/** How a server's password is found; when there is none here, libpq's own ways (PGPASSWORD, .pgpass) are tried. */
export type PasswordSource =
  | { readonly env: string }
  /** Absolute path. */
  | { readonly file: string }
  /** Program and arguments; run once a server, its first line of output is the password. */
  | { readonly command: readonly string[] }
  | { readonly awsSecret: string }
  | { readonly rdsIam: true };

export interface Limits {
  /** Batches in work at once in the whole fleet. */
  readonly concurrency: number;
  /** Connections to one server, all databases together. */
  readonly perServer: number;
  readonly perDatabase: number;
}

export interface Timeouts {
  readonly connectMs: number;
  /** lock_timeout of a tenant's session. */
  readonly lockMs: number;
  /** statement_timeout of a tenant's session. */
  readonly statementMs: number;
  /** statement_timeout of what works CONCURRENTLY, which waits for others without holding them up. */
  readonly indexBuildMs: number;
}

/** Exactly one of `instance` and `cluster`. */
export interface RdsConfig {
  readonly instance?: string;
  readonly cluster?: string;
  readonly region?: string;
  /** Of a service other than Amazon's. */
  readonly endpoint?: string;
}

export interface ServerConfig {
  readonly id: string;
  /** URL or key=value string in libpq's meaning; null: PG* variables, service file and defaults alone. */
  readonly url: string | null;
  /** The same of a standby, for reading from it. */
  readonly replica: string | null;
  readonly password: PasswordSource | null;
  /** Narrower than the fleet's, never wider. */
  readonly limits: { readonly perServer?: number; readonly perDatabase?: number };
  readonly rds: RdsConfig | null;
}

/** What all tenants of a database use; migrated once, before them. */
export interface SharedSchema {
  readonly server: string;
  readonly database: string;
  readonly schema: string;
  /** Absolute path of its own migrations folder. */
  readonly migrations: string;
}

/** Templates of one entry in place of the file's; null: the file's own. */
export interface SessionTemplates {
  readonly searchPath: readonly string[] | null;
  /** The file's role is for tenants that are a schema; one with a database of its own has only what its entry says. */
  readonly role: string | null;
}

export interface TenantEntry extends SessionTemplates {
  readonly id: string;
  readonly server: string;
  readonly database: string;
  readonly schema: string | null;
  readonly labels: Labels;
  /** `tenants.yaml:12:7`, for messages. */
  readonly at: string;
}

/** Templates of a discovered id know {match}, {server}, {database} and, where the tenant is a schema, {schema}. */
export type DiscoverEntry = SessionTemplates & {
  readonly server: string;
  readonly labels: Labels;
  /** Null: {match}. */
  readonly id: string | null;
  readonly at: string;
} & (
    | { readonly kind: 'schemas'; readonly database: string; readonly pattern: string }
    | { readonly kind: 'databases'; readonly pattern: string }
    | { readonly kind: 'query'; readonly database: string; readonly query: string }
  );

/** tenants.yaml, checked and with paths made absolute. Nothing in here has touched a server yet. */
export interface Inventory {
  /** As the operator wrote it, for messages. */
  readonly file: string;
  readonly environment: string;
  /** Absolute path; null when the file names none. */
  readonly migrations: string | null;
  /** Templates with {schema} and {id}. */
  readonly searchPath: readonly string[];
  readonly role: string | null;
  /** Absolute path of the state folder. */
  readonly state: string;
  readonly limits: Limits;
  readonly timeouts: Timeouts;
  readonly rollout: Rollout;
  readonly backups: BackupSettings;
  readonly hibernate: HibernatePolicy;
  /** `accepted`: absolute path of a file with accepted differences; null: none. */
  readonly drift: { readonly accepted: string | null };
  readonly servers: ReadonlyMap<string, ServerConfig>;
  readonly shared: readonly SharedSchema[];
  readonly tenants: readonly TenantEntry[];
  readonly discover: readonly DiscoverEntry[];
}

import { type Failure, TenantError } from '../errors.ts';
import { errorCode, isConnectionError, isSqlState, isTooManyConnections, sqlStates } from './sqlstates.ts';

const hints: Readonly<Record<string, string>> = {
  [sqlStates.connectionFailure]: 'run the same command again: it looks first at where the tenant stands',
  [sqlStates.invalidCatalogName]: 'the database does not exist: correct the inventory, or create the tenant',
  [sqlStates.insufficientPrivilege]: 'the login role lacks this privilege: grant it, or set `role` in the inventory',
  [sqlStates.lockNotAvailable]: 'another session holds a lock on a table of this tenant: run the same command again',
  [sqlStates.tooManyConnections]: 'lower --per-server, or free connections on the server',
  [sqlStates.invalidPassword]:
    'check `password` of the server in the inventory, PGPASSWORD or .pgpass; with rdsIam, the IAM action rds-db:connect and the role rds_iam',
  [sqlStates.duplicateTable]: 'it was made outside these migrations, or by an older run that was not one transaction',
  locked: 'wait for the other run to end and run the same command again, or give --lock-wait more time',
  ECONNREFUSED: 'is the server running, and do host and port in the inventory fit?',
  ENOENT: 'is the server running? there is no such socket',
  ETIMEDOUT: 'is the server reachable from here? a firewall may drop what is sent to it',
  ENOTFOUND: 'the host name in the inventory cannot be resolved',
};

/** Turns what was thrown into the facts of an outcome. A TenantError brings its own. */
export function toFailure(error: unknown): Failure {
  if (error instanceof TenantError) return error.failure;
  const code = errorCode(error);
  const hint = code === null ? undefined : hints[code];
  return {
    message: messageOf(error),
    ...(code === null ? ownMistake(error) : isSqlState(code) ? { sqlState: code } : { code }),
    ...detailOf(error),
    ...(hint === undefined ? {} : { hint }),
  };
}

/** What JavaScript itself throws is a mistake of ours, whoever it hit: the command ends with 70. */
function ownMistake(error: unknown): { readonly code?: string } {
  const isOurs = error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
  return isOurs ? { code: 'internal' } : {};
}

/** What an error means for tenants that it does not name: see `ErrorKind` of the executor. */
export function errorKind(error: unknown): 'connection' | 'too-many-connections' | 'other' {
  if (isTooManyConnections(error)) return 'too-many-connections';
  if (isConnectionError(error)) return 'connection';
  if (!(error instanceof TenantError)) return 'other';
  return errorKind(error.cause ?? { code: error.failure.code });
}

/** One database may refuse a login (pg_hba.conf) that the others of its server take. */
export function isRefusedLogin(error: unknown): boolean {
  return toFailure(error).sqlState === sqlStates.invalidAuthorization;
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  const message = error instanceof Error ? error.message : String(error);
  return message === '' ? 'unknown error' : message;
}

function detailOf(error: unknown): { detail?: string } {
  if (typeof error !== 'object' || error === null || !('detail' in error)) return {};
  return typeof error.detail === 'string' && error.detail !== '' ? { detail: error.detail } : {};
}

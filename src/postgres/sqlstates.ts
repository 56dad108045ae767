/** Names for the SQLSTATEs that tenantctl acts on. Nothing is recognised by message text. */
export const sqlStates = {
  connectionFailure: '08006',
  invalidCatalogName: '3D000',
  duplicateTable: '42P07',
  insufficientPrivilege: '42501',
  tooManyConnections: '53300',
  lockNotAvailable: '55P03',
  deadlockDetected: '40P01',
  serializationFailure: '40001',
  databaseDropped: '57P04',
  invalidPassword: '28P01',
  invalidAuthorization: '28000',
} as const;

/** Beside 08* (connection) and 57P0* (the server shuts down, starts up, or drops the database). */
const connectionErrorCodes = new Set([
  sqlStates.invalidPassword as string,
  sqlStates.invalidAuthorization,
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ENOENT',
  'EACCES',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  // Ours: the host answers, but is not what target_session_attrs asks for.
  'wrong-host',
]);

/** The code of an error by the server (a SQLSTATE) or by the network (`ECONNREFUSED`); null when it has none. */
export function errorCode(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}

export function isSqlState(code: string | null): code is string {
  return code !== null && /^[0-9A-Z]{5}$/.test(code) && !code.startsWith('E');
}

/** The database cannot be reached, or is going away: what failed for one will fail for all. */
export function isConnectionError(error: unknown): boolean {
  const code = errorCode(error);
  return code !== null && (/^(?:08|57P0)/.test(code) || connectionErrorCodes.has(code));
}

/** The same may go well a little later: nothing is wrong with the statement. */
export function isTransient(error: unknown): boolean {
  const code = errorCode(error);
  return (
    code === sqlStates.lockNotAvailable ||
    code === sqlStates.deadlockDetected ||
    code === sqlStates.serializationFailure ||
    isLostConnection(error)
  );
}

/** The server was restarted, failed over or could not be reached for a moment; a login that it refuses stays refused. */
export function isLostConnection(error: unknown): boolean {
  const code = errorCode(error);
  const isLasting =
    code === sqlStates.invalidPassword || code === sqlStates.invalidAuthorization || code === sqlStates.databaseDropped;
  return isConnectionError(error) && !isLasting;
}

export function isTooManyConnections(error: unknown): boolean {
  return errorCode(error) === sqlStates.tooManyConnections;
}

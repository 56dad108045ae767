import { hasWildcard } from '../glob.ts';

/** PostgreSQL cuts longer names in silence: two tenants could become one. */
const maxNameBytes = 63;

// Control characters, line ends and text-direction marks: they break lines, terminals and what a reader sees.
const unsafe = /[\p{Cc}\u2028\u2029\p{Bidi_Control}]/u;
const unsafeAll = new RegExp(unsafe, 'gu');

/** The text with everything that could disturb a terminal written as `\u…`. */
export function printable(text: string): string {
  return text
    .replace(unsafeAll, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .replace(/\p{Surrogate}/gu, (half) => `\\u${half.charCodeAt(0).toString(16)}`);
}

/** For messages: in double quotes, printable whatever it holds. */
export function quoted(text: string): string {
  return printable(JSON.stringify(text));
}

/** For names that differ only in what cannot be seen. */
export function speltOut(text: string): string {
  return quoted(text).replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Nearly every name; whatever else must be looked at more closely. */
const plainName = /^[\w.:@+=/-]+$/;

function problemOfText(text: string): string | null {
  if (plainName.test(text)) return null;
  if (text === '') return 'is empty';
  if (!text.isWellFormed()) return `${quoted(text)} holds half of a character (a lone surrogate)`;
  const bad = unsafe.exec(text);
  if (bad !== null) return `${quoted(text)} holds a character that cannot be shown safely (${codePoint(bad[0])})`;
  return null;
}

function codePoint(char: string): string {
  return `U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}

/** Why a name cannot be a PostgreSQL identifier here, or null. */
export function identifierProblem(name: string): string | null {
  const problem = problemOfText(name);
  if (problem !== null) return problem;
  const bytes = Buffer.byteLength(name);
  return bytes > maxNameBytes
    ? `${quoted(name)} is ${bytes} bytes long: postgresql would cut it at ${maxNameBytes}`
    : null;
}

/** Why a tenant's or server's id cannot be typed, selected and printed safely, or null. */
export function idProblem(id: string): string | null {
  const problem = problemOfText(id);
  if (problem !== null) return problem;
  if (id.trim() !== id) return `${quoted(id)} begins or ends with white space`;
  if (id.startsWith('-')) return `${quoted(id)} begins with "-", like a flag`;
  if (id.includes(',')) return `${quoted(id)} holds a comma`;
  if (hasWildcard(id)) return `${quoted(id)} holds "*" or "?", which select many tenants`;
  return null;
}

/** tenantctl's own state and scratch space. */
function isOurs(name: string): boolean {
  return name === 'tenantctl' || name.startsWith('tenantctl_');
}

/** Schemas that are never a tenant: tenantctl's own and PostgreSQL's. */
export function isReservedSchema(schema: string): boolean {
  return isOurs(schema) || schema.startsWith('pg_') || schema === 'information_schema';
}

/** Databases that are never a tenant's: tenantctl's own. */
export function isReservedDatabase(database: string): boolean {
  return isOurs(database);
}

const maintenanceDatabases: ReadonlySet<string> = new Set([
  'postgres',
  'template0',
  'template1',
  'rdsadmin',
  'azure_maintenance',
  'azure_sys',
  'cloudsqladmin',
]);

/** Every cluster has these; a pattern such as `*` does not mean them. */
export function isMaintenanceDatabase(database: string): boolean {
  return maintenanceDatabases.has(database);
}

/** Equal for ids that a person cannot tell apart: composed or not, invisible characters, kinds of blank. */
export function lookAlikeKey(id: string): string {
  return id
    .normalize('NFC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .replace(/\s+/gu, ' ');
}

import { createHash } from 'node:crypto';
import type { BackupSubject } from './manifest.ts';

/**
 * Names in a store. A person must read them, and every file system must take them: only lower case, so that folders
 * that fold case keep `Acme` and `acme` apart; no name that Windows keeps for devices; nothing that begins as our own
 * folders (`_shared`) or as a hidden file does. What is not of these characters is percent-encoded UTF-8.
 */
const plain = /^[a-z0-9._-]$/;

/** Longer names are cut and end in `~` and a hash; file systems take 255 bytes. */
const maxLength = 180;
const hashLength = 32;

const devices = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9]|conin|conout)(?:\.|$)/;

/** What every name looks like that is made here; others (`lost+found`) are not ours. */
export const namePattern = /^[a-z0-9._%~-]+$/;

export type FilePart = 'archive' | 'manifest' | 'verified' | 'pin' | 'receipt';

/** A key of the store, taken apart. `folder` is its way to the file's name, without a slash at its end. */
export interface ParsedKey {
  readonly folder: string;
  readonly time: string;
  readonly part: FilePart;
}

/** A tenant's id, a server's or a database's name as a folder's name. */
export function encodeName(name: string): string {
  if (name === '') return '%';
  const characters = Array.from(name, (character) => (plain.test(character) ? character : percent(character)));
  const last = characters.length - 1;
  if (/^[._-]$/.test(characters[0]!) || devices.test(name)) characters[0] = percent(characters[0]!);
  if (characters[last] === '.') characters[last] = percent('.');
  const encoded = characters.join('');
  if (encoded.length <= maxLength) return encoded;
  const kept: string[] = [];
  let length = 0;
  for (const character of characters) {
    length += character.length;
    if (length > maxLength - hashLength - 1) break;
    kept.push(character);
  }
  return `${kept.join('')}~${createHash('sha256').update(encoded).digest('hex').slice(0, hashLength)}`;
}

function percent(character: string): string {
  // A surrogate that stands alone has no UTF-8; two such names must not become one.
  if (!character.isWellFormed()) return `%u${character.charCodeAt(0).toString(16)}`;
  return [...Buffer.from(character)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}

/** The name that a folder stands for; null when it was cut (its manifests say it), or was not made here. */
export function decodeName(folder: string): string | null {
  if (folder === '%') return '';
  if (!namePattern.test(folder) || folder.includes('~')) return null;
  const parts = folder.match(/%u[0-9a-f]{4}|(?:%[0-9a-f]{2})+|[^%]+/g) ?? [];
  const decoded = parts.map((part) => {
    if (part.startsWith('%u')) return String.fromCharCode(Number.parseInt(part.slice(2), 16));
    if (part.startsWith('%')) return Buffer.from(part.replaceAll('%', ''), 'hex').toString();
    return part;
  });
  const name = decoded.join('');
  return encodeName(name) === folder ? name : null;
}

/** Was the name too long, so that its folder does not say it? */
export function isCutName(folder: string): boolean {
  return /~[0-9a-f]{32}$/.test(folder) && folder.length <= maxLength;
}

const kinds = { shared: '_shared', 'large-objects': '_large-objects', roles: '_roles' } as const;

/** Where all backups of a kind are: `_shared/`; tenants have none in common. */
export function kindPrefix(kind: BackupSubject['kind']): string {
  return kind === 'tenant' ? '' : `${kinds[kind]}/`;
}

/** The folder of a subject's files, without a slash at its end. */
export function subjectFolder(subject: BackupSubject): string {
  switch (subject.kind) {
    case 'tenant':
      return encodeName(subject.tenant);
    case 'roles':
      return `${kinds.roles}/${encodeName(subject.server)}`;
    default:
      return `${kinds[subject.kind]}/${encodeName(subject.server)}/${encodeName(subject.database)}`;
  }
}

/** For people: a tenant's id; of what tenants share, `_shared/main/saas`. */
export function subjectName(subject: BackupSubject): string {
  switch (subject.kind) {
    case 'tenant':
      return subject.tenant;
    case 'roles':
      return `${kinds.roles}/${subject.server}`;
    default:
      return `${kinds[subject.kind]}/${subject.server}/${subject.database}`;
  }
}

/** What a folder holds backups of; null: not ours. Names that were cut come out as their folder has them. */
export function folderSubject(folder: string): BackupSubject | null {
  const [first = '', ...rest] = folder.split('/');
  const names = [first, ...rest].map((name) => decodeName(name) ?? (isCutName(name) ? name : null));
  const [, server, database] = names;
  if (!first.startsWith('_')) {
    return rest.length === 0 && names[0] != null ? { kind: 'tenant', tenant: names[0] } : null;
  }
  if (server == null) return null;
  if (first === kinds.roles) return rest.length === 1 ? { kind: 'roles', server } : null;
  if (rest.length !== 2 || database == null) return null;
  if (first === kinds.shared) return { kind: 'shared', server, database };
  return first === kinds['large-objects'] ? { kind: 'large-objects', server, database } : null;
}

const suffixes: readonly (readonly [suffix: string, part: FilePart])[] = [
  ['.dump', 'archive'],
  ['.dump.age', 'archive'],
  ['.sql', 'archive'],
  ['.sql.age', 'archive'],
  ['.json', 'manifest'],
  ['.verified.json', 'verified'],
  ['.pin.json', 'pin'],
  ['.receipt.json', 'receipt'],
];

/** The key of a file without its ending: `acme/2026-11-22T101500.123Z`. */
export function baseKey(subject: BackupSubject, time: string): string {
  return `${subjectFolder(subject)}/${time}`;
}

export function archiveKey(subject: BackupSubject, time: string, isEncrypted: boolean): string {
  return `${baseKey(subject, time)}${subject.kind === 'roles' ? '.sql' : '.dump'}${isEncrypted ? '.age' : ''}`;
}

/** Null: not a file of a backup. */
export function parseKey(key: string): ParsedKey | null {
  const match = /^(.+)\/(\d{4}-\d\d-\d\dT\d{6}\.\d{3}Z)(\.[a-z.]+)$/.exec(key);
  if (match === null) return null;
  const [, folder = '', time = '', ending = ''] = match;
  const part = suffixes.find(([suffix]) => suffix === ending)?.[1];
  return part === undefined || parseFileTime(time) === null ? null : { folder, time, part };
}

/** Records that say something new of an archive that does not change; all other files are written once. */
export function isRewritable(key: string): boolean {
  return /\.(?:verified|pin|receipt)\.json$/.test(key);
}

/** `2026-11-22T101500.123Z`: sorts by time, and no file system minds it. */
export function fileTime(instant: Date): string {
  return instant.toISOString().replaceAll(':', '');
}

export function parseFileTime(text: string): Date | null {
  const match = /^(\d{4}-\d\d-\d\dT)(\d\d)(\d\d)(\d\d\.\d{3}Z)$/.exec(text);
  if (match === null) return null;
  const [, day, hours, minutes, seconds] = match;
  const instant = new Date(`${day}${hours}:${minutes}:${seconds}`);
  // The 31st of February is another day to Date, or none.
  return Number.isNaN(instant.getTime()) || fileTime(instant) !== text ? null : instant;
}

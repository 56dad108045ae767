import { readFileSync, statSync } from 'node:fs';
import { platform } from 'node:os';
import { join } from 'node:path';

/** One line of a password file; null stands for `*`. */
interface Entry {
  readonly fields: readonly (string | null)[];
  readonly password: string;
}

export interface PasswordFile {
  readonly entries: readonly Entry[];
  /** Why the file was left aside, for the operator. */
  readonly warning: string | null;
}

export interface PasswordLookup {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** `~/.pgpass`, on Windows `%APPDATA%\postgresql\pgpass.conf`. */
export function defaultPasswordFile(homeDir: string, env: Readonly<Record<string, string | undefined>>): string {
  if (platform() !== 'win32') return join(homeDir, '.pgpass');
  return join(env.APPDATA ?? homeDir, 'postgresql', 'pgpass.conf');
}

/** A missing file has no entries. One that others may read is ignored, as libpq does, with a warning. */
export function readPasswordFile(path: string): PasswordFile {
  try {
    const stat = statSync(path);
    if (!stat.isFile()) return ignored(`the password file "${path}" is not a plain file and is ignored`);
    if (platform() !== 'win32' && (stat.mode & 0o077) !== 0) {
      return ignored(`the password file "${path}" can be read by others and is ignored: chmod 600 it`);
    }
    return { entries: parsePasswordFile(readFileSync(path, 'utf8')), warning: null };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return { entries: [], warning: null };
    return ignored(`the password file "${path}" cannot be read and is ignored: ${code}`);
  }
}

export function parsePasswordFile(text: string): readonly Entry[] {
  return text.split('\n').flatMap((rawLine) => {
    const line = rawLine.replace(/\r$/, '');
    if (line === '' || line.startsWith('#')) return [];
    // Four fields that end at a colon without a backslash before it; the password is all the rest.
    const parts = /^((?:\\.|[^\\:])*):((?:\\.|[^\\:])*):((?:\\.|[^\\:])*):((?:\\.|[^\\:])*):(.*)$/s.exec(line);
    if (parts === null) return [];
    const fields = parts.slice(1, 5).map((field) => (field === '*' ? null : withoutBackslashes(field)));
    return [{ fields, password: withoutBackslashes(parts[5] ?? '') }];
  });
}

/** The first line that fits wins. `socketDirs` are the default ones: a server there is called `localhost` in the file. */
export function findPassword(
  entries: readonly Entry[],
  lookup: PasswordLookup,
  socketDirs: readonly string[],
): string | null {
  const host = socketDirs.includes(lookup.host) ? 'localhost' : lookup.host;
  const wanted = [host, String(lookup.port), lookup.database, lookup.user];
  const entry = entries.find(({ fields }) => fields.every((field, i) => field === null || field === wanted[i]));
  return entry?.password ?? null;
}

function withoutBackslashes(text: string): string {
  return text.replace(/\\(.)/gs, '$1');
}

function ignored(warning: string): PasswordFile {
  return { entries: [], warning };
}

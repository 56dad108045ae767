import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../../errors.ts';
import { isKeyword, type Keyword, type KeywordMap } from './keywords.ts';

/** Where packages look for the system's service file: Debian, RHEL, built from source. */
const systemFolders = ['/etc/postgresql-common', '/etc/sysconfig/pgsql', '/usr/local/pgsql/etc'];

export interface ServiceLookup {
  readonly service: string;
  /** PGSERVICEFILE: when set, it takes the place of the one in the home folder and must exist. */
  readonly file: string | null;
  readonly homeDir: string;
  /** PGSYSCONFDIR; null looks where packages put it. */
  readonly sysconfDir: string | null;
}

/** The settings of a named service: the first file that knows it wins. */
export function readService(lookup: ServiceLookup): KeywordMap {
  const { service, file, homeDir, sysconfDir } = lookup;
  if (file !== null && readIfThere(file) === null) {
    throw new UsageError(`the service file "${file}" does not exist`, { hint: 'correct or unset PGSERVICEFILE' });
  }
  const folders = sysconfDir === null ? systemFolders : [sysconfDir];
  const files = [file ?? join(homeDir, '.pg_service.conf'), ...folders.map((it) => join(it, 'pg_service.conf'))];
  for (const path of files) {
    const text = readIfThere(path);
    const found = text === null ? null : parseService(text, service, path);
    if (found !== null) return found;
  }
  throw new UsageError(`the service "${service}" is not defined`, { hint: `looked in ${files.join(', ')}` });
}

/** One section of a service file, or null when it has none of that name. Spaces count, as in libpq. */
export function parseService(text: string, service: string, path: string): KeywordMap | null {
  const lines = text.split('\n').map((line) => line.trim());
  const start = lines.findIndex((line) => line.startsWith(`[${service}]`));
  if (start === -1) return null;
  const found = new Map<Keyword, string>();
  for (const [offset, line] of lines.slice(start + 1).entries()) {
    if (line.startsWith('[')) break;
    if (line === '' || line.startsWith('#')) continue;
    const at = `${path}:${start + offset + 2}`;
    const equals = line.indexOf('=');
    const keyword = line.slice(0, Math.max(equals, 0));
    if (!isKeyword(keyword)) {
      throw new UsageError(`${at}: not a setting of libpq`, { hint: 'write keyword=value without spaces around "="' });
    }
    if (keyword === 'service') throw new UsageError(`${at}: a service cannot refer to another`);
    if (!found.has(keyword)) found.set(keyword, line.slice(equals + 1));
  }
  return found;
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new UsageError(`the service file "${path}" cannot be read: ${code}`, { cause: error });
  }
}

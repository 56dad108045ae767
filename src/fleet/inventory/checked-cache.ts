import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Remembers which inventory texts were found to be valid, so that an unchanged file is not checked again. */
export interface CheckedCache {
  readonly alreadyValid: (sha256: string) => boolean;
  readonly remember: (sha256: string) => void;
}

/** Enough for a handful of branches and environments that share a state folder. */
const maxEntries = 64;

/**
 * The cache in the state folder: one hash a line, never content. Another version of tenantctl checks anew. Whatever
 * goes wrong with the file only costs time. `write: false` is for commands that promise to write nothing.
 */
export function checkedInventories(options: {
  readonly state: string;
  readonly version: string;
  readonly write: boolean;
}): CheckedCache {
  const path = join(options.state, 'cache', 'checked-inventories');
  const keyOf = (sha256: string): string => createHash('sha256').update(`${options.version}\n${sha256}`).digest('hex');
  return {
    alreadyValid: (sha256) => readEntries(path).includes(keyOf(sha256)),
    remember: (sha256) => {
      if (options.write) addEntry(path, keyOf(sha256));
    },
  };
}

function readEntries(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}

function addEntry(path: string, entry: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    const entries = readEntries(path).filter((line) => line !== '');
    if (entries.length < maxEntries) appendFileSync(path, `${entry}\n`);
    else writeFileSync(path, `${[...entries.slice(1 - maxEntries), entry].join('\n')}\n`);
  } catch {
    // A state folder that cannot be written is told by what needs it, not by a cache.
  }
}

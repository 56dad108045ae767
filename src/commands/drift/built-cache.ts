import { hash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { FactSet } from '../../drift/fact.ts';
import { parseSnapshot } from '../../drift/parse-snapshot.ts';
import { formatSnapshot } from '../../drift/snapshot-text.ts';

/** Enough for some branches and versions; those used longest ago go first. */
const mostEntries = 200;

/**
 * What migrations built, in the state folder: snapshots by the checksum of all that they were built from. The first line
 * is the checksum of the rest, so that a damaged one is never believed. Whatever goes wrong here only costs time.
 */
export class BuiltCache {
  readonly #folder: string;

  constructor(state: string) {
    this.#folder = path.join(state, 'cache', 'built-schemas');
  }

  async read(key: string): Promise<FactSet | null> {
    try {
      const text = await readFile(this.#file(key), 'utf8');
      const end = text.indexOf('\n');
      const body = text.slice(end + 1);
      return hash('sha256', body) === text.slice(0, end) ? parseSnapshot(body, key) : null;
    } catch {
      return null;
    }
  }

  /** Beside its place first, then renamed: nobody reads half of it. */
  async write(key: string, facts: FactSet): Promise<void> {
    const body = formatSnapshot(facts);
    const partial = `${this.#file(key)}.${randomBytes(4).toString('hex')}.partial`;
    try {
      await mkdir(this.#folder, { recursive: true });
      const file = await open(partial, 'w');
      try {
        await file.writeFile(`${hash('sha256', body)}\n${body}`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(partial, this.#file(key));
      await this.#clear();
    } catch {
      // A state folder that cannot be written is told by what needs it.
      await rm(partial, { force: true }).catch(() => {});
    }
  }

  #file(key: string): string {
    return path.join(this.#folder, key);
  }

  async #clear(): Promise<void> {
    const names = await readdir(this.#folder);
    if (names.length <= mostEntries) return;
    const aged = await Promise.all(names.map(async (name) => ({ name, at: (await stat(this.#file(name))).mtimeMs })));
    const oldest = aged.toSorted((a, b) => a.at - b.at).slice(0, names.length - mostEntries);
    await Promise.all(oldest.map(({ name }) => rm(this.#file(name), { force: true })));
  }
}

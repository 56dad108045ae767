import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { RefusedError } from '../errors.ts';
import type { WatchState } from './watch-state.ts';
import { formatState, parseState } from './watch-state-text.ts';

/** The state of the watches of one fleet. */
export function watchFile(stateFolder: string): string {
  return path.join(stateFolder, 'drift', 'watch.json');
}

/** Null: there is none. `damaged`: there is one that nobody can read, which is no reason not to look. */
export async function readWatchFile(file: string): Promise<WatchState | 'damaged' | null> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw refused(file, error);
  }
  return parseState(text) ?? 'damaged';
}

/** Refuses before any work is done when the state could not be kept: the next watch would tell everything again. */
export async function prepareWatchFile(file: string, by: string): Promise<void> {
  const folder = path.dirname(file);
  const probe = path.join(folder, `.probe-${by}`);
  try {
    await mkdir(folder, { recursive: true });
    await (await open(probe, 'w')).close();
    await rm(probe);
  } catch (error) {
    throw refused(file, error);
  }
}

/** Whole or not at all: others may read or write it at the same time. `by` names this run. */
export async function writeWatchFile(file: string, state: WatchState, by: string): Promise<void> {
  const partial = `${file}.${by}.partial`;
  try {
    const handle = await open(partial, 'w');
    try {
      await handle.writeFile(formatState(state));
      await handle.datasync();
    } finally {
      await handle.close();
    }
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw refused(file, error);
  }
}

function refused(file: string, cause: unknown): RefusedError {
  return new RefusedError(`what the watch found cannot be remembered in ${file}: ${(cause as Error).message}`, {
    hint: 'make the folder writable, or set `state` in the inventory to one that is',
    cause,
  });
}

import { writeFileSync } from 'node:fs';
import { open, realpath, rename, rm, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { UsageError } from '../errors.ts';
import type { Sink } from './sink.ts';

/**
 * A report in a file. It is written beside its place and renamed when it is whole, so that nobody reads half a report.
 * A file that cannot be written is a usage error here, before a tenant is touched.
 */
export async function openFileSink(file: string, cwd: string): Promise<Sink> {
  const path = resolve(cwd, file);
  try {
    const existing = await stat(path).catch(missingAsNull);
    if (existing?.isDirectory()) throw new UsageError(`cannot write the report ${file}: it is a directory`);
    // A pipe or a device cannot be replaced by a file.
    if (existing !== null && !existing.isFile()) return await openSink(file, path, path);
    // A link stays a link: what it points to is replaced.
    const target = existing === null ? path : await realpath(path);
    return await openSink(file, `${target}.partial`, target);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    const hint = reason === 'ENOENT' ? 'make the folder first' : 'name a file that can be written';
    throw new UsageError(`cannot write the report ${file}: ${reason}`, { hint, cause: error });
  }
}

function missingAsNull(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

async function openSink(name: string, written: string, target: string): Promise<Sink> {
  const isReplacing = written !== target;
  const handle = await open(written, 'w');
  let failure: unknown = null;
  let isOpen = true;
  const end = async (): Promise<void> => {
    if (isOpen) await handle.close();
    isOpen = false;
  };
  return {
    name,
    // Synchronous: an event's line is on its way before the next event, and there is nothing to pile up.
    write(text) {
      if (failure !== null || !isOpen) return;
      try {
        writeFileSync(handle.fd, text);
      } catch (error) {
        failure = error;
      }
    },
    async close() {
      try {
        if (failure !== null) throw failure;
        if (isReplacing) await handle.sync();
        await end();
        if (isReplacing) await rename(written, target);
      } finally {
        await end();
      }
    },
    async discard() {
      await end();
      if (isReplacing) await rm(written, { force: true });
    },
  };
}

import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { UsageError } from '../../errors.ts';

/** Writes SQL to a file that was asked for; a place that cannot be written to is the caller's mistake. */
export async function writeScript(file: string, cwd: string, text: string): Promise<void> {
  try {
    await writeFile(resolve(cwd, file), text);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new UsageError(`cannot write ${file}: ${reason}`, {
      hint: 'name a file in a folder that can be written',
      cause,
    });
  }
}

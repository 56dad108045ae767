import { appendFile, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Sink } from './sink.ts';

/** GitHub shows no summary of 1 MiB or more, not even a part of it; what other programs wrote counts too. */
const maxBytes = 1024 * 1024 - 1;
/** For the line that tells what was left out. */
const noteBytes = 100;

/** The page that GitHub shows for a step. It gets whole lines, is added to the file at the end, and cut to what fits. */
export function openStepSummary(file: string, cwd: string): Sink {
  const path = resolve(cwd, file);
  const lines: string[] = [];
  let bytes = 0;
  let unkept = 0;
  return {
    name: file,
    write(text) {
      for (const line of text.match(/[^\n]*\n/g) ?? []) {
        if (bytes > maxBytes) {
          unkept += 1;
          continue;
        }
        bytes += Buffer.byteLength(line);
        lines.push(line);
      }
    },
    async close() {
      const { size, endsInLine } = await lookAt(path);
      // A blank line ends whatever stands there.
      const begin = size === 0 ? '' : endsInLine ? '\n' : '\n\n';
      const room = maxBytes - size - begin.length;
      const text = bytes <= room ? lines.join('') : cutLines(lines, unkept, room);
      if (text === null) throw new Error('it is full: GitHub takes less than 1 MiB a step');
      await appendFile(path, begin + text);
    },
    discard: async () => {},
  };
}

/** The first lines and a note; null when not even that has room. */
function cutLines(lines: readonly string[], unkept: number, room: number): string | null {
  let used = noteBytes;
  let kept = 0;
  for (const line of lines) {
    used += Buffer.byteLength(line);
    if (used > room) break;
    kept += 1;
  }
  if (kept === 0) return null;
  const left = lines.length - kept + unkept;
  return `${lines.slice(0, kept).join('')}\n${left} more lines left out: a summary has room for 1 MiB\n`;
}

async function lookAt(path: string): Promise<{ readonly size: number; readonly endsInLine: boolean }> {
  const file = await open(path, 'a+');
  try {
    const { size } = await file.stat();
    if (size === 0) return { size, endsInLine: true };
    const { buffer } = await file.read({ buffer: Buffer.alloc(1), position: size - 1 });
    return { size, endsInLine: buffer[0] === 0x0a };
  } finally {
    await file.close();
  }
}

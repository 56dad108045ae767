import { mkdir, open, readdir } from 'node:fs/promises';
import path from 'node:path';
import { UsageError } from '../errors.ts';

const sqlTemplate = '-- Up Migration\n\n\n-- Down Migration\n\n';

const jsTemplate = `/** @param pgm {import('node-pg-migrate').MigrationBuilder} */
export const up = (pgm) => {};

/** @param pgm {import('node-pg-migrate').MigrationBuilder} */
export const down = (pgm) => {};
`;

const tsTemplate = `import type { MigrationBuilder } from 'node-pg-migrate';

export async function up(pgm: MigrationBuilder): Promise<void> {}

export async function down(pgm: MigrationBuilder): Promise<void> {}
`;

const templates = { sql: sqlTemplate, js: jsTemplate, ts: tsTemplate } as const;
export type MigrationLanguage = keyof typeof templates;

export function isMigrationLanguage(text: string): text is MigrationLanguage {
  return Object.hasOwn(templates, text);
}

/**
 * Writes an empty migration after the last one and returns its path. It is numbered as the folder is: an index
 * (0043), or the time (milliseconds, or 14 to 17 digits in UTC) when the folder's names hold times.
 */
export async function createMigration(
  folder: string,
  name: string,
  language: MigrationLanguage,
  now: Date,
): Promise<string> {
  const slug = name
    .trim()
    .replaceAll(/[^\p{L}\p{N}]+/gu, '_')
    .replaceAll(/^_|_$/g, '');
  if (slug === '') throw new UsageError(`a migration needs a name with letters or digits, not ${JSON.stringify(name)}`);
  try {
    await mkdir(folder, { recursive: true });
    const file = path.join(folder, `${nextPrefix(await readdir(folder), now)}_${slug}.${language}`);
    await writeNew(file, templates[language]);
    return file;
  } catch (cause) {
    throw new UsageError(`no migration can be written into ${folder}: ${(cause as NodeJS.ErrnoException).code}`, {
      hint: 'check that it is a folder and that you may write there, or name another one with --folder',
      cause,
    });
  }
}

/** Never over a file that is there. */
async function writeNew(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    await handle.writeFile(text);
  } finally {
    await handle.close();
  }
}

function nextPrefix(names: readonly string[], now: Date): string {
  const prefixes = names.flatMap((name) => /^(\d+)\D/.exec(name)?.[1] ?? []);
  const longest = Math.max(0, ...prefixes.map((prefix) => prefix.length));
  const highest = prefixes.reduce((most, prefix) => (BigInt(prefix) > most ? BigInt(prefix) : most), 0n);
  const utc = now.toISOString().replaceAll(/\D/g, '').slice(0, longest);
  const time = BigInt(longest >= 14 ? utc : longest === 13 ? now.getTime() : 0);
  // It comes last, also when somebody's clock was ahead.
  return String(time > highest ? time : highest + 1n).padStart(Math.max(4, longest), '0');
}

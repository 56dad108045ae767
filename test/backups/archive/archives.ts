import { readFile } from 'node:fs/promises';
import type { FinishedArchive } from '../../../src/backups/archive/finish-archive.ts';
import { readToc } from '../../../src/backups/archive/read-archive.ts';
import { splitArchive } from '../../../src/backups/archive/split-archive.ts';
import type { Content } from '../../../src/backups/repository/store.ts';
import type { Random } from '../../support/random.ts';

export const fixtureFolder = new URL('../../fixtures/archives/', import.meta.url);

/** By pg_dump of that major, written to a file. */
export const fixtureNames = [
  'pg15-gzip',
  'pg15-none',
  'pg17-gzip',
  'pg17-none',
  'pg17-zstd',
  'pg18-gzip',
  'pg18-none',
  'pg18-zstd',
] as const;

/** In the order of the files with their SQL. */
export const fixtureSchemas = ['tenant_1', 'tenant_2', 'tenant_3', 'Tenant "Q" é', 'tenant_1_archive'] as const;

export async function readFixture(name: string, way: 'to a file' | 'piped' = 'to a file'): Promise<Buffer> {
  const archive = await readFile(new URL(`${name}.dump`, fixtureFolder));
  return way === 'piped' ? unsetOffsets(archive) : archive;
}

/** What pg_dump would have written to a pipe. */
async function unsetOffsets(archive: Buffer): Promise<Buffer> {
  const piped = Buffer.from(archive);
  const { header, entries } = await readToc(inOnePiece(archive));
  let at = header.raw.length + 5;
  for (const { raw, data } of entries) {
    at += raw.length;
    if (data.state === 'set') piped.fill(0, at + 1, at + 9)[at] = 1;
    at += 9;
  }
  return piped;
}

export async function* inOnePiece(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** In pieces whose ends fall anywhere. */
export async function* inPieces(bytes: Buffer, random: Random, longest = 100): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; ) {
    const length = random.between(0, longest);
    yield Buffer.from(bytes.subarray(at, at + length));
    at += length;
  }
}

/** Takes an archive apart; each schema's bytes and what was said of it. */
export async function splitInMemory(
  source: AsyncIterable<Buffer>,
  schemas: readonly string[],
): Promise<ReadonlyMap<string, FinishedArchive & { readonly bytes: Buffer }>> {
  const finished = new Map<string, FinishedArchive & { bytes: Buffer }>();
  await splitArchive(source, {
    schemas,
    memoryLimitBytes: 16 * 1024 * 1024,
    spoolFile: async () => {
      throw new Error('nothing here is large');
    },
    onFinished: async (schema, archive) => {
      finished.set(schema, { ...archive, bytes: await readContent(archive.content) });
    },
  });
  return finished;
}

export async function readContent(content: Content): Promise<Buffer> {
  const bytes = content.kind === 'file' ? await readFile(content.path) : Buffer.concat(content.chunks);
  if (bytes.length !== content.sizeBytes) throw new Error(`${bytes.length} bytes, and not ${content.sizeBytes}`);
  return bytes;
}

/** SQL without what names versions, or is another in each run. */
export function comparableSql(sql: string): string {
  return sql.replace(/^(?:-- Dumped (?:from|by) .*|\\(?:un)?restrict .*)\n/gm, '');
}

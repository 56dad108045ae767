import { deflateSync, zstdCompressSync } from 'node:zlib';
import type { ArchiveHeader } from '../../../src/backups/archive/types.ts';

/** An entry of an archive that no pg_dump wrote. Its dumpId is its place, counted from 1. */
export interface MadeEntry {
  readonly kind: string;
  readonly tag: string | Buffer;
  readonly namespace?: string | Buffer | null;
  readonly definition?: string;
  readonly dependencies?: readonly number[];
  /** COPY text with its `\.`; a list is of large objects. */
  readonly data?: string | Buffer | readonly Buffer[];
}

/** Rows as COPY writes them, with what ends them. */
export function copyText(...rows: readonly string[]): string {
  return `${rows.map((row) => `${row}\n`).join('')}\\.\n\n\n`;
}

/** An archive as pg_dump writes it to a pipe. */
export function makeArchive(
  entries: readonly MadeEntry[],
  options: {
    readonly minor?: number;
    readonly compression?: ArchiveHeader['compression'];
    readonly chunkBytes?: number;
  } = {},
): Buffer {
  const { minor = 14, compression = 'gzip' } = options;
  const parts = [makeHeader(minor, compression), int(entries.length)];
  for (const [index, entry] of entries.entries()) parts.push(makeEntry(entry, index + 1, minor));
  for (const [index, { data }] of entries.entries()) {
    if (data !== undefined)
      parts.push(makeBlock(index + 1, data, { compression, chunkBytes: options.chunkBytes ?? 4096 }));
  }
  return Buffer.concat(parts);
}

/** One block of data, as it stands after the table of contents. */
export function makeBlock(
  dumpId: number,
  data: string | Buffer | readonly Buffer[],
  options: { readonly compression: ArchiveHeader['compression']; readonly chunkBytes?: number },
): Buffer {
  if (typeof data === 'string' || Buffer.isBuffer(data)) {
    return Buffer.concat([Buffer.of(1), int(dumpId), makeChunks(Buffer.from(data), options)]);
  }
  const objects = data.flatMap((object, index) => [int(5000 + index), makeChunks(object, options)]);
  return Buffer.concat([Buffer.of(3), int(dumpId), ...objects, int(0)]);
}

function makeChunks(
  data: Buffer,
  {
    compression,
    chunkBytes = 4096,
  }: { readonly compression: ArchiveHeader['compression']; readonly chunkBytes?: number },
): Buffer {
  const packed = compression === 'gzip' ? deflateSync(data) : compression === 'zstd' ? zstdCompressSync(data) : data;
  const parts: Buffer[] = [];
  for (let at = 0; at < packed.length; at += chunkBytes) {
    const chunk = packed.subarray(at, at + chunkBytes);
    parts.push(int(chunk.length), chunk);
  }
  return Buffer.concat([...parts, int(0)]);
}

function makeHeader(minor: number, compression: ArchiveHeader['compression']): Buffer {
  const method = ['none', 'gzip', 'lz4', 'zstd'].indexOf(compression);
  const date = [59, 30, 10, 22, 10, 126, 0].map(int);
  return Buffer.concat([
    Buffer.from('PGDMP'),
    Buffer.of(1, minor, 0, 4, 8, 1),
    minor >= 15 ? Buffer.of(method) : int(compression === 'none' ? 0 : -1),
    ...date,
    text('app'),
    text(`${minor >= 16 ? 17 : 15}.1`),
    text(`${minor >= 16 ? 17 : 15}.1`),
  ]);
}

function makeEntry(entry: MadeEntry, dumpId: number, minor: number): Buffer {
  const hasData = entry.data !== undefined;
  const isTable = entry.kind === 'TABLE DATA';
  return Buffer.concat([
    int(dumpId),
    int(hasData ? 1 : 0),
    text('1259'),
    text(String(16_000 + dumpId)),
    text(entry.tag),
    text(entry.kind),
    int(hasData ? 3 : 2),
    text(entry.definition ?? ''),
    text(''),
    text(isTable ? 'COPY x FROM stdin;\n' : null),
    text(entry.namespace ?? null),
    text(null),
    ...(minor >= 14 ? [text(null)] : []),
    ...(minor >= 16 ? [int(0)] : []),
    text('owner'),
    text('false'),
    ...(entry.dependencies ?? []).map((id) => text(String(id))),
    text(null),
    Buffer.of(hasData ? 1 : 3),
    Buffer.alloc(8),
  ]);
}

export function int(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = value < 0 ? 1 : 0;
  bytes.writeUInt32LE(Math.abs(value), 1);
  return bytes;
}

function text(value: string | Buffer | null): Buffer {
  if (value === null) return int(-1);
  const bytes = Buffer.from(value as string);
  return Buffer.concat([int(bytes.length), bytes]);
}

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkArchive } from '../../../src/backups/archive/check-archive.ts';
import { type FinishedArchive, finishArchive } from '../../../src/backups/archive/finish-archive.ts';
import { splitArchive } from '../../../src/backups/archive/split-archive.ts';
import type { TenantError } from '../../../src/errors.ts';
import { openFolder } from '../../support/folders.ts';
import { makeRandom } from '../../support/random.ts';
import { inOnePiece, readContent, splitInMemory } from './archives.ts';
import { copyText, int, type MadeEntry, makeArchive, makeBlock } from './make-archive.ts';

const small: readonly MadeEntry[] = [
  { kind: 'SCHEMA', tag: 'a' },
  { kind: 'SCHEMA', tag: 'b' },
  { kind: 'SCHEMA', tag: 'empty' },
  { kind: 'TABLE DATA', tag: 't', namespace: 'a', data: copyText('1', '2') },
  { kind: 'TABLE DATA', tag: 'u', namespace: 'a', data: copyText() },
  { kind: 'TABLE DATA', tag: 't', namespace: 'b', data: copyText('3') },
];

/** Text that compresses badly, so that archives become large. */
function noise(rows: number, seed: number): string {
  const random = makeRandom(seed);
  const row = () => Array.from({ length: 60 }, () => random.between(0, 2 ** 31).toString(36)).join('');
  return copyText(...Array.from({ length: rows }, row));
}

async function failureOf(work: Promise<unknown>): Promise<TenantError['failure'] | null> {
  return work.then(
    () => null,
    (error: TenantError) => error.failure,
  );
}

describe('splitArchive', () => {
  it('hands over each schema as soon as its last block has come', async () => {
    const archive = makeArchive(small);
    const order: string[] = [];
    async function* source() {
      // The rest comes only when everything before was worked on.
      for (const byte of archive) yield Buffer.of(byte);
      order.push('end');
    }
    await splitArchive(source(), {
      schemas: ['a', 'b', 'empty'],
      memoryLimitBytes: 1e6,
      spoolFile: async () => '',
      onToc: ({ entries }) => order.push(`${entries.length} entries`),
      onFinished: async (schema) => {
        await new Promise((resolve) => setImmediate(resolve));
        order.push(schema);
      },
    });
    expect(order).toEqual(['6 entries', 'empty', 'a', 'b', 'end']);
  });

  it('passes over what belongs to no wanted schema, damaged or not, and says what it left out', async () => {
    const entries = small.map((entry) => (entry.namespace === 'b' ? { ...entry, data: 'no end' } : entry));
    const finished: string[] = [];
    const { leftOut } = await splitArchive(inOnePiece(makeArchive(entries)), {
      schemas: ['a'],
      memoryLimitBytes: 1e6,
      spoolFile: async () => '',
      onFinished: async (schema, { tables }) => {
        finished.push(`${schema} ${tables.map(({ name, rows }) => `${name}=${rows}`)}`);
      },
    });
    expect(finished).toEqual(['a t=2,u=0']);
    expect(leftOut.map(({ kind, tag }) => `${kind} ${tag}`)).toEqual(['SCHEMA b', 'SCHEMA empty', 'TABLE DATA t']);
  });

  it.each(['gzip', 'none', 'zstd'] as const)('spools what is large, and it is the same (%s)', async (compression) => {
    const large: readonly MadeEntry[] = [
      { kind: 'SCHEMA', tag: 'a' },
      { kind: 'SCHEMA', tag: 'b' },
      { kind: 'TABLE DATA', tag: 't', namespace: 'a', data: noise(4000, 1) },
      { kind: 'TABLE DATA', tag: 't', namespace: 'b', data: copyText('1') },
      { kind: 'TABLE DATA', tag: 'u', namespace: 'a', data: noise(2000, 2) },
    ];
    const archive = makeArchive(large, { compression, minor: 16 });
    const whole = await splitInMemory(inOnePiece(archive), ['a', 'b']);
    const folder = await openFolder();
    const spooled = new Map<string, FinishedArchive>();
    await splitArchive(inOnePiece(archive), {
      schemas: ['a', 'b'],
      memoryLimitBytes: 100_000,
      spoolFile: async (schema) => join(folder, schema),
      onFinished: async (schema, finished) => {
        spooled.set(schema, finished);
      },
    });
    const a = spooled.get('a')!;
    expect(a.content).toMatchObject({ kind: 'file', path: join(folder, 'a'), isOurs: true });
    expect(spooled.get('b')?.content.kind).toBe('bytes');
    expect((await readContent(a.content)).equals(whole.get('a')!.bytes)).toBe(true);
    expect(a.tables).toEqual(whole.get('a')!.tables);
    expect(a.tables.map(({ rows }) => rows)).toEqual([4000, 2000]);
    await a.discard();
    await a.discard();
    expect(await readdir(folder)).toEqual([]);
  });

  it('holds no more in memory than four times the limit, however many schemas are begun', async () => {
    const names = Array.from({ length: 16 }, (_, number) => `s${number}`);
    const entries = names.map((tag): MadeEntry => ({ kind: 'SCHEMA', tag }));
    // Each schema's second block comes after the first of all others, so that all stay open.
    const blocks = ['x', 'y'].flatMap((tag) =>
      names.map((namespace, n): MadeEntry => ({ kind: 'TABLE DATA', tag, namespace, data: noise(400, n) })),
    );
    const folder = await openFolder();
    const kinds: string[] = [];
    await splitArchive(inOnePiece(makeArchive([...entries, ...blocks])), {
      schemas: names,
      memoryLimitBytes: 300_000,
      spoolFile: async (schema) => join(folder, schema),
      onFinished: async (_schema, archive) => {
        kinds.push(archive.content.kind);
        const { problems } = await checkArchive(inOnePiece(await readContent(archive.content)));
        expect(problems).toEqual([]);
      },
    });
    expect(new Set(kinds)).toEqual(new Set(['bytes', 'file']));
  });

  it('keeps nothing of the buffers that came', async () => {
    const archive = makeArchive(small);
    const finished = await splitInMemory(inOnePiece(archive), ['a', 'b', 'empty']);
    for (const { content } of finished.values()) {
      if (content.kind !== 'bytes') throw new Error('spooled');
      for (const chunk of content.chunks) expect(chunk.buffer.byteLength).toBe(chunk.byteLength);
    }
  });
});

describe('an archive that is not whole', () => {
  const options = (folder: string, finished: string[] = []) => ({
    schemas: ['a', 'b', 'empty'],
    memoryLimitBytes: 0,
    spoolFile: async (schema: string) => join(folder, schema),
    onFinished: async (schema: string, archive: FinishedArchive) => {
      finished.push(schema);
      await archive.discard();
    },
  });

  it('cut anywhere is an error, and leaves no file', async () => {
    const archive = makeArchive(small);
    const folder = await openFolder();
    for (let length = 0; length < archive.length; length += 1) {
      const failure = await failureOf(splitArchive(inOnePiece(archive.subarray(0, length)), options(folder)));
      expect(failure, `cut at ${length}`).toMatchObject({ code: 'archive-damaged' });
      expect(failure?.message).toMatch(/ at byte \d+$/);
      const whole = await failureOf(
        finishArchive(inOnePiece(archive.subarray(0, length)), {
          memoryLimitBytes: 0,
          spoolFile: async () => join(folder, 'x'),
        }),
      );
      expect(whole, `cut at ${length}`).toMatchObject({ code: 'archive-damaged' });
    }
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    ['data of an unknown entry', makeBlock(99, copyText(), { compression: 'gzip' }), /unknown entry 99 at byte \d+/],
    ['data of an entry that has none', makeBlock(1, copyText(), { compression: 'gzip' }), /unknown entry 1 at/],
    ['data twice', makeBlock(4, copyText(), { compression: 'gzip' }), /TABLE DATA a\.t for the second time at/],
    ['a block of no type', Buffer.from([7, 0, 4, 0, 0, 0]), /unknown type 7 at/],
    ['a byte too many', Buffer.of(1), /ends in the middle/],
  ])('with %s is an error', async (_what, extra, message) => {
    const archive = Buffer.concat([makeArchive(small), extra]);
    const folder = await openFolder();
    const failure = await failureOf(splitArchive(inOnePiece(archive), options(folder)));
    expect(failure?.message).toMatch(message);
    const spoolFile = async () => join(folder, 'whole');
    const whole = finishArchive(inOnePiece(archive), { memoryLimitBytes: 0, spoolFile });
    expect((await failureOf(whole))?.message).toMatch(message);
    expect(await readdir(folder)).toEqual([]);
  });

  it('with rows that pg_dump did not end is an error at once', async () => {
    const entries = small.map((entry) => (entry.namespace === 'a' ? { ...entry, data: '1\n2\n' } : entry));
    const finished: string[] = [];
    const failure = await failureOf(
      splitArchive(inOnePiece(makeArchive(entries)), options(await openFolder(), finished)),
    );
    expect(failure).toMatchObject({ code: 'archive-damaged' });
    expect(failure?.message).toMatch(/TABLE DATA a\.t .*do not end with/);
    expect(finished).toEqual(['empty']);
  });

  it('without a schema that was asked for is an error', async () => {
    const split = splitInMemory(inOnePiece(makeArchive(small)), ['a', 'c']);
    expect(await failureOf(split)).toMatchObject({ code: 'schema-missing', message: expect.stringContaining('"c"') });
  });

  it('asks for no memory that did not come', async () => {
    const archive = makeArchive(small);
    const at = archive.indexOf(Buffer.concat([int(1), Buffer.from('a')]));
    const huge = Buffer.concat([archive.subarray(0, at), int(2 ** 31 - 1), archive.subarray(at + 5)]);
    const failure = await failureOf(splitInMemory(inOnePiece(huge), ['a']));
    expect(failure?.message).toMatch(new RegExp(`a text of 2147483647 bytes at byte ${at}$`));
  });

  it("stops reading its source, and passes the source's own error on", async () => {
    let isStopped = false;
    async function* source() {
      try {
        yield Buffer.from('no archive at all');
        yield Buffer.alloc(10);
      } finally {
        isStopped = true;
      }
    }
    expect(await failureOf(splitInMemory(source(), ['a']))).toMatchObject({ code: 'archive-damaged' });
    expect(isStopped).toBe(true);
    async function* broken() {
      yield makeArchive(small).subarray(0, 500);
      throw new Error('the pipe broke');
    }
    await expect(splitInMemory(broken(), ['a'])).rejects.toThrow('the pipe broke');
  });
});

describe('finishArchive', () => {
  const limits = { memoryLimitBytes: 1e6, spoolFile: async () => '' };

  it('keeps everything, large objects as well, and sets offsets', async () => {
    const entries: readonly MadeEntry[] = [
      ...small,
      { kind: 'BLOBS', tag: 'BLOBS', data: [Buffer.from('x'), Buffer.alloc(0)] },
    ];
    const { content, tables, entries: kept } = await finishArchive(inOnePiece(makeArchive(entries)), limits);
    expect(kept).toHaveLength(7);
    expect(tables.map(({ schema, name, rows }) => [schema, name, rows])).toEqual([
      ['a', 't', 2],
      ['a', 'u', 0],
      ['b', 't', 1],
    ]);
    const { toc, problems } = await checkArchive(inOnePiece(await readContent(content)));
    expect(problems).toEqual([]);
    expect(toc?.entries.map(({ data }) => data.state)).toEqual(['none', 'none', 'none', 'set', 'set', 'set', 'set']);
  });

  it('leaves out what is not to be kept', async () => {
    const keep = (entry: { readonly namespace: string | null }) => entry.namespace !== 'a';
    const { content } = await finishArchive(inOnePiece(makeArchive(small)), { ...limits, keep });
    const { tables, problems, toc } = await checkArchive(inOnePiece(await readContent(content)));
    expect(problems).toEqual([]);
    expect(toc?.entries).toHaveLength(4);
    expect(tables.map(({ schema }) => schema)).toEqual(['b']);
  });
});

import { describe, expect, it } from 'vitest';
import { checkArchive } from '../../../src/backups/archive/check-archive.ts';
import { makeRandom, type Random, testSeeds } from '../../support/random.ts';
import { fixtureNames, fixtureSchemas, inOnePiece, inPieces, readFixture, splitInMemory } from './archives.ts';
import { copyText, type MadeEntry, makeArchive, makeBlock } from './make-archive.ts';
import { renderArchive } from './render-archive.ts';

const entries: readonly MadeEntry[] = [
  { kind: 'SCHEMA', tag: 'a' },
  { kind: 'TABLE DATA', tag: 't', namespace: 'a', data: copyText('1', '2') },
  { kind: 'TABLE DATA', tag: 'u', namespace: 'a', data: copyText('3') },
];

/** The same archive with other blocks after its table of contents. */
function withBlocks(...blocks: readonly Buffer[]): Buffer {
  const whole = makeArchive(entries);
  const own = entries.map(({ data }, index) => (data === undefined ? null : block(index + 1, data as string)));
  const length = own.reduce((sum, bytes) => sum + (bytes?.length ?? 0), 0);
  return Buffer.concat([whole.subarray(0, whole.length - length), ...blocks]);
}

function block(dumpId: number, data: string): Buffer {
  return makeBlock(dumpId, data, { compression: 'gzip' });
}

describe('checkArchive', () => {
  it.each(fixtureNames)('finds nothing wrong with what pg_dump wrote: %s', async (name) => {
    for (const way of ['to a file', 'piped'] as const) {
      const { toc, tables, problems, unsupported } = await checkArchive(inOnePiece(await readFixture(name, way)));
      expect({ problems, unsupported }).toEqual({ problems: [], unsupported: null });
      expect(toc?.header.compression).toBe(name.split('-')[1]);
      expect(tables).toHaveLength(21);
      expect(tables.reduce((sum, { rows }) => sum + rows!, 0)).toBe(250);
    }
  });

  it.each(testSeeds(3))('finds nothing wrong however the bytes come (seed %i)', async (seed) => {
    const random = makeRandom(seed);
    for (const name of fixtureNames) {
      const { problems } = await checkArchive(inPieces(await readFixture(name), random, random.pick([3, 100, 10_000])));
      expect(problems).toEqual([]);
    }
  });

  it('takes blocks in any order', async () => {
    const { problems, tables } = await checkArchive(
      inOnePiece(withBlocks(block(3, copyText('3')), block(2, copyText('1', '2')))),
    );
    expect(problems).toEqual([]);
    expect(tables.map(({ name, rows }) => [name, rows])).toEqual([
      ['t', 2],
      ['u', 1],
    ]);
  });

  it.each([
    ['a missing block', [block(2, copyText('1'))], 'the data of TABLE DATA a.u is not there'],
    [
      'a block twice',
      [2, 3, 2].map((id) => block(id, copyText())),
      /data of TABLE DATA a.t for the second time at byte \d+/,
    ],
    ['an unknown block', [2, 3, 9].map((id) => block(id, copyText())), /data of the unknown entry 9 at byte \d+/],
    ['a block of an entry without data', [2, 3, 1].map((id) => block(id, copyText())), /unknown entry 1 at byte/],
    ['no end of rows', [block(2, '1\n2\n'), block(3, copyText())], /a.t: its rows do not end with \\\. \(2 lines/],
    [
      'an early end',
      [block(2, '1\n\\.\n2\n\\.\n\n\n'), block(3, copyText())],
      /a.t: something stands after \\\. \(row 2\)/,
    ],
    ['an end cut short', [block(2, '1\n\\.\n\n'), block(3, copyText())], /a.t: something stands after/],
    [
      'no compressed stream',
      [Buffer.concat([...chunksOf(2, Buffer.from('plain text'))]), block(3, copyText())],
      /a.t: its data cannot be decompressed/,
    ],
    [
      'a block of large objects',
      [makeBlock(2, [Buffer.from('x')], { compression: 'gzip' }), block(3, copyText())],
      /TABLE DATA a.t has data of another type/,
    ],
    [
      'bytes after the last block',
      [block(2, copyText()), block(3, copyText()), Buffer.of(0)],
      /ends in the middle|unknown type/,
    ],
  ] as const)('finds %s', async (_what, blocks, problem) => {
    const { problems } = await checkArchive(inOnePiece(withBlocks(...blocks)));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(problem);
  });

  it.each(['gzip', 'zstd'] as const)(
    'finds what stands after a compressed stream, small or large (%s)',
    async (compression) => {
      for (const rows of [2, 100_000]) {
        const random = makeRandom(rows);
        const text = copyText(...Array.from({ length: rows }, () => String(random.between(0, 2 ** 31))));
        const archive = makeArchive([{ kind: 'TABLE DATA', tag: 't', namespace: 'a', data: text }], {
          compression,
          minor: 16,
        });
        const good = await checkArchive(inOnePiece(archive));
        expect(good).toMatchObject({ problems: [], tables: [{ rows }] });
        // The last chunk gets five bytes more, and says so.
        const longer = Buffer.concat([
          archive.subarray(0, -5),
          Buffer.of(0, 5, 0, 0, 0),
          Buffer.from('extra'),
          archive.subarray(-5),
        ]);
        expect((await checkArchive(inOnePiece(longer))).problems).toEqual([
          'TABLE DATA a.t: 5 bytes stand after the end of its compressed data',
        ]);
      }
    },
  );

  it('inflates what is a thousand times larger in bounded memory, and counts its rows', async () => {
    const text = `${`${'x'.repeat(99)}\n`.repeat(200_000)}\\.\n\n\n`;
    for (const compression of ['gzip', 'zstd'] as const) {
      const archive = makeArchive([{ kind: 'TABLE DATA', tag: 't', namespace: 'a', data: text }], {
        compression,
        minor: 16,
      });
      const { problems, tables } = await checkArchive(inOnePiece(archive));
      expect(problems).toEqual([]);
      expect(tables[0]?.rows).toBe(200_000);
    }
  });

  it('finds an offset that points elsewhere', async () => {
    const archive = await readFixture('pg15-gzip');
    const { toc } = await checkArchive(inOnePiece(archive));
    const index = toc!.entries.findIndex(({ data }) => data.state === 'set');
    const before = toc!.entries.slice(0, index + 1).reduce((sum, { raw }) => sum + raw.length, index * 9);
    const offsetAt = toc!.header.raw.length + 5 + before + 1;
    expect(archive.readBigUInt64LE(offsetAt)).toBe(toc!.entries[index]!.data.offset);
    archive[offsetAt]! ^= 1;
    const { problems } = await checkArchive(inOnePiece(archive));
    expect(problems).toEqual([
      expect.stringMatching(/says that its data stands at byte \d+, and it stands at byte \d+$/),
    ]);
  });

  it('reads large objects', async () => {
    const objects = [Buffer.from('hello'), Buffer.alloc(0), Buffer.alloc(300_000, 'x')];
    const archive = makeArchive([{ kind: 'BLOBS', tag: 'BLOBS', data: objects }], { compression: 'gzip' });
    expect(await checkArchive(inOnePiece(archive))).toMatchObject({ problems: [], tables: [] });
    const broken = Buffer.from(archive);
    broken[archive.length - 40]! ^= 16;
    expect((await checkArchive(inOnePiece(broken))).problems).toHaveLength(1);
  });

  it('says what it cannot look at', async () => {
    const lz4 = await checkArchive(inOnePiece(makeArchive(entries, { minor: 16, compression: 'lz4' })));
    expect(lz4).toMatchObject({ problems: [], tables: [{ rows: null }, { rows: null }] });
    expect(lz4.unsupported).toMatch(/lz4/);
    const newer = Buffer.from(makeArchive(entries));
    newer[6] = 17;
    expect(await checkArchive(inOnePiece(newer))).toMatchObject({
      toc: null,
      unsupported: 'an archive of version 1.17 cannot be read here',
    });
  });

  it('passes on what the source throws', async () => {
    async function* broken() {
      yield makeArchive(entries).subarray(0, 300);
      throw new Error('the disk is gone');
    }
    await expect(checkArchive(broken())).rejects.toThrow('the disk is gone');
  });
});

/** A block whose one chunk is what is given, compressed or not. */
function chunksOf(dumpId: number, chunk: Buffer): readonly Buffer[] {
  return [makeBlock(dumpId, chunk, { compression: 'none' })];
}

const casesPerFixture = process.env.TENANTCTL_SOAK === '1' ? 2_000 : 60;

describe('damage', () => {
  /** Flips one bit of a copy. */
  const flip = (bytes: Buffer, at: number, bit: number) => {
    const damaged = Buffer.from(bytes);
    damaged[at]! ^= 1 << bit;
    return damaged;
  };
  const isFound = async (bytes: Buffer, random: Random) => {
    const { problems, unsupported } = await checkArchive(inPieces(bytes, random, 70_000));
    return problems.length > 0 || unsupported !== null;
  };

  describe.each(testSeeds(1))('of archives (seed %i)', (seed) => {
    it.each(fixtureNames)(
      '%s: a flipped bit never makes it throw, and in compressed data it is found',
      async (name) => {
        const random = makeRandom(seed);
        const parts = await splitInMemory(inOnePiece(await readFixture(name)), fixtureSchemas);
        const archive = parts.get('tenant_1')!.bytes;
        const offsets = (await checkArchive(inOnePiece(archive))).toc!.entries.filter(
          ({ data }) => data.state === 'set',
        );
        const dataAt = Number(
          offsets.reduce((least, { data }) => (data.offset < least ? data.offset : least), 2n ** 60n),
        );
        const missed: Buffer[] = [];
        for (let number = 0; number < casesPerFixture; number += 1) {
          // Most of a small archive is its table of contents.
          const at = random.between(random.chance(0.5) ? dataAt : 0, archive.length - 1);
          const damaged = flip(archive, at, random.between(0, 7));
          if (!(await isFound(damaged, random))) missed.push(damaged);
        }
        // Other letters in a text of the table of contents or in plain rows only a checksum of the file can tell, and
        // pg_dump asks zstd for none. With gzip, what stays unseen changes no row: bits that fill up the last byte.
        if (name.endsWith('gzip')) {
          const inData = missed.filter((bytes) => bytes.subarray(0, dataAt).equals(archive.subarray(0, dataAt)));
          for (const bytes of inData) expect(await renderArchive(bytes)).toBe(await renderArchive(archive));
        }
        expect(missed.length).toBeLessThan(casesPerFixture);
      },
    );

    it.each(fixtureNames)('%s: cut anywhere, it is found', async (name) => {
      const random = makeRandom(seed);
      const archive = await readFixture(name, random.pick(['to a file', 'piped']));
      for (let number = 0; number < casesPerFixture; number += 1) {
        const length = random.between(0, archive.length - 1);
        expect(await isFound(archive.subarray(0, length), random), `cut at ${length}`).toBe(true);
      }
    });
  });
});

import { describe, expect, it } from 'vitest';
import { readToc } from '../../../src/backups/archive/read-archive.ts';
import type { TenantError } from '../../../src/errors.ts';
import { inOnePiece } from './archives.ts';
import { copyText, int, makeArchive } from './make-archive.ts';

const archive = makeArchive([
  { kind: 'SCHEMA', tag: 'Tenant é', definition: 'CREATE SCHEMA "Tenant é";\n' },
  { kind: 'TABLE DATA', tag: 't', namespace: 'Tenant é', dependencies: [1, 205], data: copyText('1') },
]);

async function failureOf(bytes: Buffer): Promise<TenantError['failure']> {
  return readToc(inOnePiece(bytes)).then(
    () => expect.unreachable('it was read'),
    (error: TenantError) => error.failure,
  );
}

function changed(at: number, ...bytes: readonly number[]): Buffer {
  const copy = Buffer.from(archive);
  copy.set(bytes, at);
  return copy;
}

describe('readToc', () => {
  it.each([12, 13, 14, 15, 16])('reads version 1.%i', async (minor) => {
    const entries = [
      { kind: 'SCHEMA', tag: 'Tenant é', definition: 'CREATE SCHEMA "Tenant é";\n' },
      { kind: 'TABLE DATA', tag: 't', namespace: 'Tenant é', dependencies: [1, 205], data: copyText('1') },
    ];
    const toc = await readToc(inOnePiece(makeArchive(entries, { minor, compression: 'none' })));
    expect(toc.header).toMatchObject({ version: [1, minor, 0], compression: 'none', databaseName: 'app' });
    expect(toc.entries).toMatchObject([
      { dumpId: 1, kind: 'SCHEMA', tag: 'Tenant é', namespace: null, hasDumper: false, section: 'pre-data' },
      { dumpId: 2, tag: 't', namespace: 'Tenant é', dependencies: [1, 205], hasDumper: true, owner: 'owner' },
    ]);
    expect(toc.entries[0]?.definition).toBe('CREATE SCHEMA "Tenant é";\n');
    expect(toc.entries.map(({ data }) => data)).toEqual([
      { state: 'none', offset: 0n },
      { state: 'unset', offset: 0n },
    ]);
  });

  it('reads nothing after the table of contents, and stops its source', async () => {
    let isStopped = false;
    async function* source() {
      try {
        yield archive;
        yield Buffer.from('never asked for');
        expect.unreachable('it read on');
      } finally {
        isStopped = true;
      }
    }
    await readToc(source());
    expect(isStopped).toBe(true);
  });

  it.each([
    ['nothing', Buffer.alloc(0), /ends in the middle of something at byte 0$/],
    ['text', Buffer.from('-- PostgreSQL database dump'), /no archive of pg_dump in custom format begins at byte 0$/],
    ['numbers of another size', changed(8, 8), /numbers of 8 and 8 bytes at byte 8$/],
    ['an unknown compression', changed(12, 77), /unknown compression at byte 11$/],
    ['a text of two gigabytes', changed(51, 0, 255, 255, 255, 127), /a text of 2147483647 bytes at byte 51$/],
    ['a negative text', changed(51, 1, 2, 0, 0, 0), /a text of -2 bytes at byte 51$/],
    ['a number with a sign that is none', changed(51, 2), /not a whole number at byte 51$/],
  ])('refuses %s', async (_what, bytes, message) => {
    const { code, message: said } = await failureOf(bytes);
    expect(code).toBe('archive-damaged');
    expect(said).toMatch(message);
  });

  it('does not believe a number of entries that are not there', async () => {
    const count = archive.indexOf(Buffer.concat([int(2), int(1)]));
    const { message } = await failureOf(
      Buffer.concat([archive.subarray(0, count), int(2 ** 31 - 1), archive.subarray(count + 5)]),
    );
    expect(message).toMatch(/^damaged archive: .* at byte \d+$/);
  });

  it.each([
    ['a newer version', changed(6, 17), /version 1\.17/],
    ['a much older version', changed(6, 11), /version 1\.11/],
    ['a tar archive', changed(10, 3), /not in custom format/],
  ])('says that it does not know %s', async (_what, bytes, message) => {
    const failure = await failureOf(bytes);
    expect(failure).toMatchObject({ code: 'archive-unsupported', hint: expect.any(String) });
    expect(failure.message).toMatch(message);
  });
});

import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../../src/backups/archive/byte-reader.ts';
import { readContents } from '../../../src/backups/archive/read-archive.ts';
import { countArchivedLargeObjects, selectEntries } from '../../../src/backups/archive/select-entries.ts';
import { inOnePiece } from './archives.ts';
import { type MadeEntry, makeArchive } from './make-archive.ts';

/** Which tags each schema gets, and which nobody does. */
async function select(entries: readonly MadeEntry[], schemas: readonly string[], minor = 14) {
  const toc = await readContents(new ByteReader(inOnePiece(makeArchive(entries, { minor }))));
  const { bySchema, leftOut } = selectEntries(toc.entries, schemas);
  const tags = [...bySchema].map(([schema, own]) => [schema, own.map(({ tag }) => tag)] as const);
  return {
    ...Object.fromEntries(tags),
    leftOut: leftOut.map(({ tag }) => tag),
    objects: countArchivedLargeObjects(toc.entries),
  };
}

const settings: readonly MadeEntry[] = [
  { kind: 'ENCODING', tag: 'ENCODING' },
  { kind: 'STDSTRINGS', tag: 'STDSTRINGS' },
  { kind: 'SEARCHPATH', tag: 'SEARCHPATH' },
];
const always = settings.map(({ tag }) => tag);

describe('selectEntries', () => {
  it('gives each schema itself, its objects and what is said about them, in the order of the archive', async () => {
    const selected = await select(
      [
        ...settings,
        { kind: 'SCHEMA', tag: 'a' },
        { kind: 'ACL', tag: 'SCHEMA a', dependencies: [4] },
        { kind: 'SCHEMA', tag: 'b' },
        { kind: 'COMMENT', tag: 'SCHEMA b', dependencies: [6] },
        { kind: 'TABLE', tag: 't', namespace: 'b' },
        { kind: 'SECURITY LABEL', tag: 'TABLE t', namespace: 'b', dependencies: [8] },
        { kind: 'ACL', tag: 'COLUMN t.x', namespace: 'b', dependencies: [8, 9] },
        { kind: 'DEFAULT ACL', tag: 'DEFAULT PRIVILEGES FOR TABLES', namespace: 'a' },
        { kind: 'DEFAULT ACL', tag: 'DEFAULT PRIVILEGES OF ALL', namespace: null },
      ],
      ['b', 'a'],
    );
    expect(selected).toEqual({
      a: [...always, 'a', 'SCHEMA a', 'DEFAULT PRIVILEGES FOR TABLES'],
      b: [...always, 'b', 'SCHEMA b', 't', 'TABLE t', 'COLUMN t.x'],
      leftOut: ['DEFAULT PRIVILEGES OF ALL'],
      objects: 0,
    });
  });

  it('knows whom a comment is about when it stands before it', async () => {
    const selected = await select(
      [
        { kind: 'COMMENT', tag: 'TABLE t', namespace: 'a', dependencies: [3] },
        { kind: 'SCHEMA', tag: 'a' },
        { kind: 'TABLE', tag: 't', namespace: 'a' },
      ],
      ['a'],
    );
    expect(selected).toMatchObject({ a: ['TABLE t', 'a', 't'], leftOut: [] });
  });

  it('leaves out privileges of what is not there, such as a table of an extension, though they name its schema', async () => {
    const selected = await select(
      [
        { kind: 'SCHEMA', tag: 'a' },
        { kind: 'ACL', tag: 'TABLE of extension', namespace: 'a', dependencies: [99] },
        { kind: 'ACL', tag: 'COLUMN of extension', namespace: 'a', dependencies: [99, 2] },
      ],
      ['a'],
    );
    expect(selected).toMatchObject({ a: ['a'], leftOut: ['TABLE of extension', 'COLUMN of extension'] });
  });

  it('leaves out what belongs to the database', async () => {
    const ofDatabase: readonly MadeEntry[] = [
      { kind: 'DATABASE', tag: 'app' },
      { kind: 'DATABASE PROPERTIES', tag: 'app properties' },
      { kind: 'EXTENSION', tag: 'hstore' },
      { kind: 'COMMENT', tag: 'EXTENSION hstore', dependencies: [4] },
      { kind: 'CAST', tag: 'CAST (a.x AS integer)' },
      { kind: 'EVENT TRIGGER', tag: 'watch' },
      { kind: 'PUBLICATION', tag: 'pub' },
      { kind: 'PUBLICATION TABLE', tag: 'pub t', namespace: 'a' },
      { kind: 'PUBLICATION TABLES IN SCHEMA', tag: 'pub a', namespace: 'a' },
      { kind: 'SUBSCRIPTION TABLE', tag: 'sub t', namespace: 'a' },
      { kind: 'TABLE', tag: 'of public', namespace: 'public' },
    ];
    const selected = await select([{ kind: 'SCHEMA', tag: 'a' }, ...ofDatabase.map((entry) => ({ ...entry }))], ['a']);
    expect(selected).toMatchObject({ a: ['a'], leftOut: ofDatabase.map(({ tag }) => tag) });
  });

  it('takes no schema for another', async () => {
    const names = ['tenant_1', 'tenant_1_archive', 'Tenant_1', 'tenant_1 ', 'Tenant "Q" é'];
    const entries = names.flatMap((name): MadeEntry[] => [
      { kind: 'SCHEMA', tag: name },
      { kind: 'TABLE', tag: `table of ${name}`, namespace: name },
    ]);
    const selected = await select(entries, names);
    for (const name of names) expect(selected).toMatchObject({ [name]: [name, `table of ${name}`] });
    // e and an accent of its own, and bytes that are no UTF-8: they look alike, and are other names.
    const alike: readonly MadeEntry[] = ['Tenant "Q" e\u0301', Buffer.from('Tenant "Q" é', 'latin1')].map(
      (namespace) => ({
        kind: 'TABLE',
        tag: 'not ours',
        namespace,
      }),
    );
    expect(await select([...entries, ...alike], names)).toMatchObject({ leftOut: ['not ours', 'not ours'] });
  });

  it('gives nothing for a schema that the archive does not create', async () => {
    const entries: readonly MadeEntry[] = [...settings, { kind: 'TABLE', tag: 't', namespace: 'a' }];
    expect(await select(entries, ['a', 'b'])).toMatchObject({ a: [], b: [] });
  });

  it.each([
    [
      14,
      [
        { kind: 'BLOB', tag: '5000' },
        { kind: 'BLOB', tag: '5001' },
      ],
      2,
    ],
    [16, [{ kind: 'BLOB METADATA', tag: 'LARGE OBJECTS 5000..5002', definition: '5000\n5001\n5002\n' }], 3],
  ] as const)('leaves out and counts large objects (1.%i)', async (minor, objects, count) => {
    const entries: readonly MadeEntry[] = [
      { kind: 'SCHEMA', tag: 'a' },
      ...objects,
      { kind: 'COMMENT', tag: 'LARGE OBJECT 5000', dependencies: [2] },
      { kind: 'BLOBS', tag: 'BLOBS', data: [Buffer.from('x')] },
    ];
    const selected = await select(entries, ['a'], minor);
    expect(selected).toMatchObject({ a: ['a'], objects: count });
    expect(selected.leftOut).toHaveLength(objects.length + 2);
  });
});

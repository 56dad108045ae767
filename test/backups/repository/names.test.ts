import { describe, expect, it } from 'vitest';
import type { BackupSubject } from '../../../src/backups/repository/manifest.ts';
import {
  archiveKey,
  baseKey,
  decodeName,
  encodeName,
  fileTime,
  folderSubject,
  isCutName,
  isRewritable,
  namePattern,
  parseFileTime,
  parseKey,
  subjectFolder,
} from '../../../src/backups/repository/names.ts';
import { makeRandom, type Random, testSeeds } from '../../support/random.ts';

/** Characters that something somewhere takes for more than they are. */
const odd = [
  'A',
  'Z',
  'a',
  'z',
  '0',
  '-',
  '_',
  '.',
  '%',
  '~',
  '/',
  '\\',
  ' ',
  ':',
  '"',
  '*',
  'é',
  'e\u0301',
  'ß',
  '😀',
  '\u0000',
  '\n',
  '\ud800',
  '\udc00',
  'İ',
  'ſ',
  'con',
  'nul',
];

function randomName({ between, pick }: Random): string {
  return Array.from({ length: between(0, pick([3, 12, 80])) }, () => pick(odd)).join('');
}

/** What no file system may fold, cut, keep for itself or hide. */
function isSafe(folder: string): boolean {
  const isDevice = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/.test(folder);
  return namePattern.test(folder) && folder.length <= 180 && !isDevice && !/^[._-]|\.$/.test(folder);
}

describe('names of folders', () => {
  it.each([
    ['acme', 'acme'],
    ['eu-1.acme_2', 'eu-1.acme_2'],
    ['Acme', '%41cme'],
    ['acmé', 'acm%c3%a9'],
    ['a b', 'a%20b'],
    ['_shared', '%5fshared'],
    ['..', '%2e%2e'],
    ['a.', 'a%2e'],
    ['con', '%63on'],
    ['nul.txt', '%6eul.txt'],
    ['console', 'console'],
    ['100%', '100%25'],
    ['a/../b', 'a%2f..%2fb'],
    ['\ud800', '%ud800'],
    ['', '%'],
  ])('%j is %s', (name, folder) => {
    expect(encodeName(name)).toBe(folder);
    expect(decodeName(folder)).toBe(name);
  });

  it.each(testSeeds(5))('are safe, come back, and clash for no two (seed %i)', (seed) => {
    const random = makeRandom(seed);
    const names = [...new Set(Array.from({ length: 500 }, () => randomName(random)))];
    const folders = names.map(encodeName);
    expect(folders.filter((folder) => !isSafe(folder))).toEqual([]);
    expect(new Set(folders).size).toBe(names.length);
    expect(folders.map(decodeName)).toEqual(names.map((name, index) => (isCutName(folders[index]!) ? null : name)));
  });

  it('are cut when they are long, and still differ', () => {
    const [first, second] = [encodeName(`${'É'.repeat(400)}a`), encodeName(`${'É'.repeat(400)}b`)];
    expect([first.length <= 180, isCutName(first), first !== second]).toEqual([true, true, true]);
    expect(first).toMatch(/^(?:%c3%89)+~[0-9a-f]{32}$/);
    expect(isCutName(encodeName(`x~${'0'.repeat(32)}`))).toBe(false);
  });

  it.each(['%41', '%4A', 'Acme', 'a%2', 'a%61', 'a~b', '%u0041', '_x', '', 'a/b'])('%j stands for none', (folder) => {
    const isSome = folder === '%41';
    expect(decodeName(folder)).toBe(isSome ? 'A' : null);
  });
});

describe('keys', () => {
  const subjects: readonly (readonly [BackupSubject, string])[] = [
    [{ kind: 'tenant', tenant: '_shared' }, '%5fshared'],
    [{ kind: 'shared', server: 'main', database: 'Saas' }, '_shared/main/%53aas'],
    [{ kind: 'large-objects', server: 'main', database: 'a/b' }, '_large-objects/main/a%2fb'],
    [{ kind: 'roles', server: 'main' }, '_roles/main'],
  ];

  it.each(subjects)('%j is in %s, and found there', (subject, folder) => {
    expect(subjectFolder(subject)).toBe(folder);
    expect(folderSubject(folder)).toEqual(subject);
  });

  it.each(['_shared', '_shared/main', '_shared/main/a/b', '_roles/main/saas', 'acme/x', '_other/main', 'Acme', ''])(
    'the folder %j holds no backups',
    (folder) => {
      expect(folderSubject(folder)).toBeNull();
    },
  );

  it('are taken apart again', () => {
    const time = '2026-11-22T101500.123Z';
    const acme: BackupSubject = { kind: 'tenant', tenant: 'acme' };
    expect(archiveKey(acme, time, true)).toBe(`acme/${time}.dump.age`);
    expect(archiveKey({ kind: 'roles', server: 'main' }, time, false)).toBe(`_roles/main/${time}.sql`);
    for (const [ending, part] of [
      ['.dump', 'archive'],
      ['.sql.age', 'archive'],
      ['.json', 'manifest'],
      ['.verified.json', 'verified'],
      ['.pin.json', 'pin'],
    ]) {
      expect(parseKey(baseKey(acme, time) + ending)).toEqual({ folder: 'acme', time, part });
    }
    for (const ending of ['.dump.1a2b.partial', '.txt', '', '.dump.json', '.json.age']) {
      expect(parseKey(baseKey(acme, time) + ending)).toBeNull();
    }
  });

  it('only what says something new of an archive is written again', () => {
    const base = 'acme/2026-11-22T101500.123Z';
    expect(['.dump', '.json', '.verified.json', '.pin.json'].map((end) => isRewritable(base + end))).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });
});

describe('times', () => {
  it('sort as their names do, and come back', () => {
    const instant = new Date('2026-11-22T10:15:00.123Z');
    expect(fileTime(instant)).toBe('2026-11-22T101500.123Z');
    expect(parseFileTime(fileTime(instant))).toEqual(instant);
  });

  it.each(['2026-02-30T101500.123Z', '2026-11-22T251500.123Z', '2026-11-22T10:15:00.123Z', '2026-11-22', 'x'])(
    '%s is none',
    (text) => {
      expect(parseFileTime(text)).toBeNull();
    },
  );
});

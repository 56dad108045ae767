import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { findPassword, parsePasswordFile, readPasswordFile } from '../../../src/postgres/settings/password-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'tenantctl-pgpass-'));
afterAll(() => rmSync(folder, { recursive: true }));

const lookup = { host: 'db', port: 5432, database: 'saas', user: 'me' };
const find = (text: string, over: Partial<typeof lookup> = {}) =>
  findPassword(parsePasswordFile(text), { ...lookup, ...over }, ['/var/run/postgresql', '/tmp']);

describe('finding a line', () => {
  test.each<[string, string, Partial<typeof lookup>, string | null]>([
    ['exact', 'db:5432:saas:me:pw', {}, 'pw'],
    ['wildcards', '*:*:*:*:pw', {}, 'pw'],
    ['the first match wins', 'db:5432:*:me:one\n*:*:*:*:two', {}, 'one'],
    ['other host', 'other:*:*:*:pw', {}, null],
    ['other port', 'db:5433:*:*:pw', {}, null],
    ['other database', 'db:*:control:*:pw', {}, null],
    ['other user', 'db:*:*:you:pw', {}, null],
    ['comments', '#db:*:*:*:no\ndb:*:*:*:pw', {}, 'pw'],
    ['windows line ends', 'db:*:*:*:pw\r\n', {}, 'pw'],
    ['colons in the password', 'db:*:*:*:a:b', {}, 'a:b'],
    ['escapes in the password', String.raw`db:*:*:*:a\:b\\c`, {}, String.raw`a:b\c`],
    ['escapes in a field', String.raw`\:\:1:*:*:me:pw`, { host: '::1' }, 'pw'],
    ['backslash in a field', String.raw`db:*:*:dom\\me:pw`, { user: String.raw`dom\me` }, 'pw'],
    ['an escaped star is a name', String.raw`\*:*:*:*:pw`, {}, null],
    ['an escaped star is that name', String.raw`db:*:*:\*:pw`, { user: '*' }, 'pw'],
    ['too few fields', 'db:*:*:pw', {}, null],
    ['a prefix is no match', 'd:*:*:*:pw', {}, null],
    ['a default socket is localhost', 'localhost:*:*:*:pw', { host: '/tmp' }, 'pw'],
    ['a default socket is not its path', '/tmp:*:*:*:pw', { host: '/tmp' }, null],
    ['another socket is its path', '/srv/pg:*:*:*:pw', { host: '/srv/pg' }, 'pw'],
    ['spaces count', 'db:*:*:*: p w ', {}, ' p w '],
  ])('%s', (_name, text, over, expected) => {
    expect(find(text, over)).toBe(expected);
  });
});

describe('reading the file', () => {
  const write = (name: string, mode: number) => {
    const path = join(folder, name);
    writeFileSync(path, '*:*:*:*:pw\n');
    chmodSync(path, mode);
    return path;
  };

  test('one that only its owner reads', () => {
    const { entries, warning } = readPasswordFile(write('closed', 0o600));
    expect(entries).toHaveLength(1);
    expect(warning).toBeNull();
  });

  test.each([0o640, 0o604, 0o620, 0o601])('mode %o is ignored with a warning', (mode) => {
    const path = write(`open-${mode}`, mode);
    const { entries, warning } = readPasswordFile(path);
    expect(entries).toEqual([]);
    expect(warning).toContain(path);
  });

  test('a missing file is no warning, a folder is one', () => {
    expect(readPasswordFile(join(folder, 'missing'))).toEqual({ entries: [], warning: null });
    mkdirSync(join(folder, 'dir'), { mode: 0o700 });
    expect(readPasswordFile(join(folder, 'dir')).warning).toContain('not a plain file');
  });
});

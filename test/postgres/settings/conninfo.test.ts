import { describe, expect, test } from 'vitest';
import { UsageError } from '../../../src/errors.ts';
import { parseConninfo } from '../../../src/postgres/settings/conninfo.ts';

const parse = (text: string) => Object.fromEntries(parseConninfo(text));

describe('urls, as libpq reads them', () => {
  test.each<[string, Record<string, string>]>([
    ['postgres://', {}],
    ['postgresql://db', { host: 'db' }],
    ['postgres://u:p@db:6000/saas', { user: 'u', password: 'p', host: 'db', port: '6000', dbname: 'saas' }],
    ['  postgres://db\n', { host: 'db' }],
    ['postgres://u@/saas', { user: 'u', dbname: 'saas' }],
    ['postgres://u:@db/', { user: 'u', host: 'db' }],
    ['postgres://:pw@db', { password: 'pw', host: 'db' }],
    ['postgres://u:a:b@db', { user: 'u', password: 'a:b', host: 'db' }],
    ['postgres://u:p+w@db', { user: 'u', password: 'p+w', host: 'db' }],
    ['postgres://u:p?w#x@db', { user: 'u', password: 'p?w#x', host: 'db' }],
    ['postgres://u%40x:%2F%3a%25%C3%A9@db/a%20b', { user: 'u@x', password: '/:%é', host: 'db', dbname: 'a b' }],
    ['postgres://h1:5432,h2:5433,h3/db', { host: 'h1,h2,h3', port: '5432,5433,', dbname: 'db' }],
    ['postgres://h1,h2', { host: 'h1,h2', port: ',' }],
    ['postgres://[::1]:5/db', { host: '::1', port: '5', dbname: 'db' }],
    ['postgres://[fe80::1],[::2]:3/db', { host: 'fe80::1,::2', port: ',3', dbname: 'db' }],
    ['postgres://%2Fvar%2Frun/db', { host: '/var/run', dbname: 'db' }],
    ['postgres:///db?host=/tmp&port=5433', { dbname: 'db', host: '/tmp', port: '5433' }],
    ['postgres://a/db?host=b&host=c', { host: 'c', dbname: 'db' }],
    ['postgres://db?sslmode=require', { host: 'db', sslmode: 'require' }],
    ['postgres://db/?ssl=true', { host: 'db', sslmode: 'require' }],
    ['postgres://db/?requiressl=0', { host: 'db', sslmode: 'prefer' }],
    ['postgres://db/?sslmode=', { host: 'db', sslmode: '' }],
    ['postgres://db/?options=-c%20a%3Db', { host: 'db', options: '-c a=b' }],
    ['postgres://db/x?user=me@tenant', { host: 'db', dbname: 'x', user: 'me@tenant' }],
    ['postgres://db/a/b', { host: 'db', dbname: 'a/b' }],
  ])('%s', (url, expected) => {
    expect(parse(url)).toEqual(expected);
  });
});

describe('key=value strings, as libpq reads them', () => {
  test.each<[string, Record<string, string>]>([
    ['', {}],
    ['host=db', { host: 'db' }],
    [' host = db\tport= 5\n', { host: 'db', port: '5' }],
    ["host='a b' user=x", { host: 'a b', user: 'x' }],
    [String.raw`password='a\'b\\c'`, { password: String.raw`a'b\c` }],
    [String.raw`password=a\ b\'c\\`, { password: "a b'c\\" }],
    ["password=a'b", { password: "a'b" }],
    ['options=-c\\ a=b', { options: '-c a=b' }],
    ['host=', { host: '' }],
    ["host='' port=5", { host: '', port: '5' }],
    ["host='a'port=5", { host: 'a', port: '5' }],
    ['host=a host=b', { host: 'b' }],
    ['host=a\\', { host: 'a' }],
    ['requiressl=1', { sslmode: 'require' }],
  ])('%j', (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });
});

describe('mistakes', () => {
  test.each<[string, string]>([
    ['postgres://db/?colour=red', 'the connection string has an unknown parameter "colour"'],
    ['colour=red', 'the connection string has an unknown parameter "colour"'],
    ['postgres://db/?sslmode', 'the url\'s parameter "sslmode" must have exactly one "="'],
    ['postgres://db/?options=-c a=b', 'the url\'s parameter "options" must have exactly one "="'],
    ['postgres://[::1/db', 'the url has an IPv6 address that is empty or lacks its closing "]"'],
    ['postgres://[]/db', 'the url has an IPv6 address that is empty or lacks its closing "]"'],
    ['postgres://[::1]x/db', 'the url has something else than a port after the "]" of an IPv6 address'],
    ['postgres://db:x/db', 'the url has a port that is not a number'],
    ['postgres://db/%zz', 'the url has a "%" that is not followed by two hexadecimal digits, or is not UTF-8'],
    ['postgres://db/%00', 'the url has a %00, which no setting can hold'],
    ['postgres://u:p@x@db/', 'the url has an "@" in its host or database name'],
    ['host=db saas', 'the connection string has no "=" after the word at character 9'],
    ["host='db", 'the connection string has a quote at character 6 that is not closed'],
    ['mysql://db', 'the connection string has no "=" after the word at character 1'],
  ])('%s', (text, message) => {
    expect(() => parseConninfo(text)).toThrow(expect.objectContaining({ name: 'UsageError', message }));
  });

  test.each([
    'postgres://u:hunter2@secret@db/x',
    'postgres://u:hunter2/secret@db/x',
    'postgres://u:hunter2',
    'postgres://u:hunter2%@db',
    'postgres://u:hunter2@db?nope=1',
    'postgres://u:p@db?password=hunter2=x',
    'postgress://u:hunter2@db',
    'host=db password=hunter2 secret',
    "host=db password='hunter2",
    'hunter2',
  ])('never repeat a password: %s', (text) => {
    let error: unknown;
    try {
      parseConninfo(text);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(UsageError);
    const { message, hint, stack } = error as UsageError;
    expect(`${message} ${hint} ${stack}`).not.toContain('hunter2');
  });
});

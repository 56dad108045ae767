import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseService, readService } from '../../../src/postgres/settings/service-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'tenantctl-service-'));
afterAll(() => rmSync(folder, { recursive: true }));

const text = ['# ours', '[one]', ' host=a', 'host=b', '', '# in between', 'dbname= x ', '[two]', 'host=c'].join('\n');

describe('a section', () => {
  test('comments and blank lines are skipped, the first of two counts, spaces after = stay', () => {
    expect(Object.fromEntries(parseService(text, 'one', 'f') ?? [])).toEqual({ host: 'a', dbname: ' x' });
  });
  test('ends where the next one begins', () => {
    expect(Object.fromEntries(parseService(text, 'two', 'f') ?? [])).toEqual({ host: 'c' });
  });
  test('of another name is not found', () => {
    expect(parseService(text, 'on', 'f')).toBeNull();
  });
  test.each([
    ['[s]\nhost=a\ncolour=red', 'f:3: not a setting of libpq'],
    ['[s]\nhost', 'f:2: not a setting of libpq'],
    ['[s]\nhost = a', 'f:2: not a setting of libpq'],
    ['[s]\n\nservice=t', 'f:3: a service cannot refer to another'],
  ])('%j', (broken, message) => {
    expect(() => parseService(broken, 's', 'f')).toThrow(message);
  });
});

describe('where it is looked for', () => {
  const homeDir = join(folder, 'home');
  const sysconfDir = join(folder, 'etc');
  const file = join(folder, 'named.conf');
  mkdirSync(homeDir);
  mkdirSync(sysconfDir);
  writeFileSync(join(homeDir, '.pg_service.conf'), '[both]\nhost=home\n[home]\nhost=home\n');
  writeFileSync(join(sysconfDir, 'pg_service.conf'), '[both]\nhost=etc\n[etc]\nhost=etc\n');
  writeFileSync(file, '[both]\nhost=named\n');

  test.each([
    ['both', null, 'home'],
    ['home', null, 'home'],
    ['etc', null, 'etc'],
    ['both', file, 'named'],
    ['etc', file, 'etc'],
  ])('%s with PGSERVICEFILE %s', (service, named, host) => {
    expect(readService({ service, file: named, homeDir, sysconfDir }).get('host')).toBe(host);
  });

  test('PGSERVICEFILE takes the place of the one in the home folder', () => {
    expect(() => readService({ service: 'home', file, homeDir, sysconfDir })).toThrow(
      'the service "home" is not defined',
    );
  });
  test('a PGSERVICEFILE that is not there is named', () => {
    expect(() => readService({ service: 'home', file: '/nowhere/x', homeDir, sysconfDir })).toThrow('"/nowhere/x"');
  });
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { UsageError } from '../../../src/errors.ts';
import { PasswordCache } from '../../../src/postgres/settings/password-sources.ts';
import { type ConnectionInput, resolveConnection } from '../../../src/postgres/settings/resolve-connection.ts';

const folder = mkdtempSync(join(tmpdir(), 'tenantctl-resolve-'));
afterAll(() => rmSync(folder, { recursive: true }));
const homeDir = join(folder, 'home');
const socketDir = join(folder, 'run');
mkdirSync(homeDir);
mkdirSync(socketDir);
writeFileSync(
  join(homeDir, '.pg_service.conf'),
  ['[svc]', 'host=service', 'port=6000', 'user=service', 'password=service', 'sslmode=require'].join('\n'),
);
writeFileSync(join(homeDir, '.pgpass'), 'db:5432:saas:os:pgpass\nlocalhost:*:*:*:socket\n*:*:other:*:other\n', {
  mode: 0o600,
});
writeFileSync(join(folder, 'open.pgpass'), '*:*:*:*:open\n', { mode: 0o644 });

const input = (over: Partial<ConnectionInput> = {}): ConnectionInput => ({
  serverId: 'main',
  conninfo: null,
  env: {},
  homeDir,
  baseDir: folder,
  osUser: 'os',
  connectTimeoutMs: 10_000,
  socketDirs: [join(folder, 'missing'), socketDir, folder],
  ...over,
});
const resolve = (conninfo: string | null, env: Record<string, string> = {}, over: Partial<ConnectionInput> = {}) =>
  resolveConnection(input({ conninfo, env, ...over }));

describe('defaults', () => {
  test('the operating system, the local socket and no more', () => {
    expect(resolve(null)).toMatchObject({
      hosts: [{ host: socketDir, hostaddr: null, port: 5432 }],
      user: 'os',
      database: 'os',
      options: null,
      targetSessionAttrs: 'any',
      loadBalanceHosts: false,
      connectTimeoutMs: 10_000,
      keepAlive: true,
      keepAliveIdleMs: 60_000,
      tls: { mode: 'prefer', negotiation: 'postgres', verify: 'none' },
      authentication: { channelBinding: 'prefer', requireAuth: null },
      warnings: [],
    });
  });

  test('a machine without a socket folder: localhost', () => {
    expect(resolve(null, {}, { socketDirs: [] }).hosts).toEqual([{ host: 'localhost', hostaddr: null, port: 5432 }]);
  });
});

describe('precedence: settings, service, environment, defaults', () => {
  const env = { PGHOST: 'env', PGPORT: '7000', PGUSER: 'env', PGDATABASE: 'env', PGSSLMODE: 'disable' };
  test.each<[string, string | null, Record<string, string>, object]>([
    ['environment', null, env, { hosts: [{ host: 'env', port: 7000 }], user: 'env', database: 'env' }],
    ['the url over the environment', 'postgres://me@url/db', env, { hosts: [{ host: 'url', port: 7000 }], user: 'me' }],
    ['an empty value over the environment', "host='' port=", env, { hosts: [{ host: socketDir, port: 5432 }] }],
    ['an empty part of a url is absent', 'postgres://@/', env, { hosts: [{ host: 'env' }], user: 'env' }],
    ['an empty variable is absent', null, { PGHOST: '', PGSSLMODE: '' }, { hosts: [{ host: socketDir }] }],
    ['an empty dbname is the user', "dbname='' user=me", env, { database: 'me' }],
    ['service over environment', 'service=svc', env, { hosts: [{ host: 'service', port: 6000 }], database: 'env' }],
    ['settings over service', 'service=svc host=url', env, { hosts: [{ host: 'url', port: 6000 }], user: 'service' }],
    ['PGSERVICE', null, { ...env, PGSERVICE: 'svc' }, { hosts: [{ host: 'service' }], tls: { mode: 'require' } }],
    ['settings over PGSERVICE', 'user=me', { PGSERVICE: 'svc' }, { user: 'me', hosts: [{ host: 'service' }] }],
    ['an empty service is none', "service=''", { PGSERVICE: 'svc' }, { hosts: [{ host: socketDir }] }],
  ])('%s', (_name, conninfo, environment, expected) => {
    expect(resolve(conninfo, environment)).toMatchObject(expected);
  });

  test('a database of the caller goes before all', () => {
    expect(resolve('dbname=url', env, { database: 'tenant' }).database).toBe('tenant');
  });
});

describe('single settings', () => {
  test.each<[string, object]>([
    ['options=-c\\ a=b', { options: '-c a=b' }],
    ['target_session_attrs=read-write', { targetSessionAttrs: 'read-write' }],
    ['target_session_attrs=prefer-standby', { targetSessionAttrs: 'prefer-standby' }],
    ['load_balance_hosts=random', { loadBalanceHosts: true }],
    ['connect_timeout=3', { connectTimeoutMs: 3000 }],
    ['connect_timeout=0', { connectTimeoutMs: 0 }],
    ['connect_timeout=-1', { connectTimeoutMs: 0 }],
    ['keepalives=0 keepalives_idle=30', { keepAlive: false, keepAliveIdleMs: 30_000 }],
    ['channel_binding=require', { authentication: { channelBinding: 'require' } }],
    ['require_auth=!password,!md5', { authentication: { requireAuth: '!password,!md5' } }],
    ['application_name=x client_encoding=LATIN1 tcp_user_timeout=5 krbsrvname=x', { user: 'os' }],
    ['sslsni=1 gssencmode=prefer replication=false requirepeer=', { user: 'os' }],
  ])('%s', (conninfo, expected) => {
    expect(resolve(conninfo)).toMatchObject(expected);
  });

  test.each([
    ['PGOPTIONS', '-c a=b', { options: '-c a=b' }],
    ['PGTARGETSESSIONATTRS', 'standby', { targetSessionAttrs: 'standby' }],
    ['PGLOADBALANCEHOSTS', 'random', { loadBalanceHosts: true }],
    ['PGCONNECT_TIMEOUT', '4', { connectTimeoutMs: 4000 }],
    ['PGCHANNELBINDING', 'disable', { authentication: { channelBinding: 'disable' } }],
    ['PGREQUIREAUTH', 'scram-sha-256', { authentication: { requireAuth: 'scram-sha-256' } }],
    ['PGHOSTADDR', '127.0.0.1', { hosts: [{ host: '127.0.0.1', hostaddr: '127.0.0.1' }] }],
    ['PGAPPNAME', 'x', { user: 'os' }],
    ['PGCLIENTENCODING', 'LATIN1', { user: 'os' }],
  ])('%s', (name, value, expected) => {
    expect(resolve(null, { [name]: value })).toMatchObject(expected);
  });
});

describe('several hosts', () => {
  const at = (host: string, port: number, hostaddr: string | null = null) => ({ host, hostaddr, port });
  test.each([
    ['postgres://a:1,b:2/db', [at('a', 1), at('b', 2)]],
    ['postgres://a,b:2/db', [at('a', 5432), at('b', 2)]],
    ['host=a,b port=7', [at('a', 7), at('b', 7)]],
    ['host=a,,/tmp', [at('a', 5432), at(socketDir, 5432), at('/tmp', 5432)]],
    ['host=a,b hostaddr=10.0.0.1,::1', [at('a', 5432, '10.0.0.1'), at('b', 5432, '::1')]],
    ['hostaddr=10.0.0.1,10.0.0.2', [at('10.0.0.1', 5432, '10.0.0.1'), at('10.0.0.2', 5432, '10.0.0.2')]],
    ['host=a,b hostaddr=10.0.0.1,', [at('a', 5432, '10.0.0.1'), at('b', 5432)]],
  ])('%s', (conninfo, hosts) => {
    expect(resolve(conninfo).hosts).toEqual(hosts);
  });
});

describe('mistakes name the server', () => {
  test.each([
    ['host=a,b port=1,2,3', '3 port values do not pair up with 2 hosts'],
    ['host=a,b hostaddr=::1', '2 host and 1 hostaddr values do not pair up'],
    ['hostaddr=db', 'hostaddr "db" is not an IP address'],
    ['host=@abstract', 'host "@abstract": abstract unix sockets are not supported'],
    ['port=0', 'the port is not a number from 1 to 65535'],
    ['port=65536', 'the port is not a number from 1 to 65535'],
    ['port=0x10', 'the port is not a number from 1 to 65535'],
    ['connect_timeout=10s', 'connect_timeout "10s" is not a whole number'],
    ['target_session_attrs=master', 'target_session_attrs "master" is not known'],
    ['sslmode=no-verify', 'sslmode "no-verify" is not known'],
    ['require_auth=md5,!password', 'require_auth "md5,!password" is not understood'],
    ['require_auth=magic', 'require_auth "magic" is not understood'],
    ['sslcrldir=/x', 'the setting sslcrldir is not supported'],
    ['sslsni=0', 'the setting sslsni is not supported'],
    ['gssencmode=require', 'the setting gssencmode is not supported'],
    ['requirepeer=postgres', 'the setting requirepeer is not supported'],
    ['replication=database', 'the setting replication is not supported'],
    ['service=nope', 'the service "nope" is not defined'],
    ['colour=red', 'the connection string has an unknown parameter "colour"'],
  ])('%s', (conninfo, message) => {
    expect(() => resolve(conninfo)).toThrow(
      expect.objectContaining({ name: 'UsageError', message: `server main: ${message}` }),
    );
  });

  test('the hint survives', () => {
    expect(() => resolve('sslmode=x')).toThrow(expect.objectContaining({ hint: expect.stringContaining('verify-ca') }));
  });
});

describe('passwords', () => {
  const cache = new PasswordCache({ env: { SOURCE: 'source' }, baseDir: folder });
  const source = { source: { env: 'SOURCE' }, cache };
  const passwordOf = (conninfo: string, env: Record<string, string>, over: Partial<ConnectionInput> = {}) => {
    const settings = resolve(conninfo, env, over);
    const host = settings.hosts[0];
    return settings.password(host?.host ?? '', host?.port ?? 0);
  };
  const url = 'postgres://:url@db/saas';

  test.each<[string, string, Record<string, string>, Partial<ConnectionInput>, string | null]>([
    ['the inventory first', url, { PGPASSWORD: 'env' }, { password: source }, 'source'],
    ['then the url', url, { PGPASSWORD: 'env', PGSERVICE: 'svc' }, {}, 'url'],
    ['then the service', 'host=db dbname=saas', { PGPASSWORD: 'env', PGSERVICE: 'svc' }, {}, 'service'],
    ['then PGPASSWORD', 'postgres://db/saas', { PGPASSWORD: 'env' }, { password: null }, 'env'],
    ['then .pgpass', 'postgres://db/saas', {}, {}, 'pgpass'],
    ['an empty password is none', 'host=db dbname=saas password=', { PGPASSWORD: 'env' }, {}, 'pgpass'],
    ['the database counts', 'postgres://db/saas', {}, { database: 'other' }, 'other'],
    ['the local socket is localhost', 'dbname=saas', {}, {}, 'socket'],
    ['else none', 'postgres://elsewhere/saas', {}, {}, null],
    ['passfile', 'postgres://db/saas?passfile=home/.pgpass', { PGPASSFILE: '/nowhere' }, {}, 'pgpass'],
    ['PGPASSFILE', 'postgres://db/saas', { PGPASSFILE: '/nowhere' }, {}, null],
  ])('%s', async (_name, conninfo, env, over, expected) => {
    expect(await passwordOf(conninfo, env, over)).toBe(expected);
  });

  test('a password file that others may read is a warning, once it would count', async () => {
    const env = { PGPASSFILE: join(folder, 'open.pgpass') };
    const settings = resolve('postgres://db/saas', env);
    expect(settings.warnings).toEqual([expect.stringContaining('open.pgpass')]);
    expect(await settings.password('db', 5432)).toBeNull();
    expect(resolve(url, env).warnings).toEqual([]);
  });

  test('another database of the same server looks up its own', async () => {
    const other = resolve('postgres://db/saas').forDatabase('other');
    expect(other.database).toBe('other');
    expect(await other.password('db', 5432)).toBe('other');
    expect(await other.forDatabase('saas').password('db', 5432)).toBe('pgpass');
  });

  test('a source that cannot work is told at once', () => {
    const missing = { source: { env: 'MISSING' }, cache };
    expect(() => resolve(url, {}, { password: missing })).toThrow(UsageError);
    expect(() => resolve(url, {}, { password: missing })).toThrow(/^server main: the environment variable MISSING/);
  });
});

import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { checkServerIdentity } from 'node:tls';
import { inspect } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { toNativeEnv } from '../../../src/postgres/settings/native-env.ts';
import { type ConnectionInput, resolveConnection } from '../../../src/postgres/settings/resolve-connection.ts';
import { tlsAttempts } from '../../../src/postgres/settings/tls-attempts.ts';

const folder = mkdtempSync(join(tmpdir(), 'tenantctl-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string) => join(folder, name);
const emptyHome = file('empty-home');
mkdirSync(emptyHome);
writeFileSync(file('garbage.pem'), 'no certificate');

const resolve = (conninfo: string, over: Partial<ConnectionInput> = {}) =>
  resolveConnection({
    serverId: 'main',
    conninfo,
    env: {},
    homeDir: emptyHome,
    baseDir: folder,
    osUser: 'os',
    connectTimeoutMs: 10_000,
    ...over,
  });

const hasOpenssl = makeCertificates();
if (!hasOpenssl) process.stderr.write('tests: openssl is not installed: certificates are tested only in part\n');

/** Certificates that signed themselves; false on a machine without openssl. */
function makeCertificates(): boolean {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  try {
    openssl('version');
  } catch {
    return false;
  }
  for (const name of ['ca', 'client']) {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`];
    openssl('req', '-x509', '-days', '2', '-subj', `/CN=${name}`, '-out', `${name}.crt`, ...key);
    chmodSync(file(`${name}.key`), 0o600);
  }
  openssl('ec', '-in', 'client.key', '-aes256', '-passout', 'pass:hunter2', '-out', 'locked.key');
  chmodSync(file('locked.key'), 0o600);
  copyFileSync(file('client.key'), file('open.key'));
  chmodSync(file('open.key'), 0o644);
  return true;
}

describe('tlsAttempts', () => {
  const shape = (conninfo: string, over: Partial<ConnectionInput> = {}) => {
    const settings = resolve(conninfo, over);
    return tlsAttempts(settings, settings.hosts[0]!).map(({ encrypted, ssl }) => {
      if (ssl === false) return 'plain';
      const { rejectUnauthorized, servername } = ssl;
      return `${encrypted ? 'tls' : '?'} ${rejectUnauthorized ? settings.tls.verify : 'none'} ${servername ?? '-'}`;
    });
  };

  test.each([
    ['host=db sslmode=disable', ['plain']],
    ['host=db sslmode=allow', ['plain', 'tls none db']],
    ['host=db', ['tls none db', 'plain']],
    ['host=db sslmode=require', ['tls none db']],
    ['host=10.0.0.1 sslmode=require', ['tls none -']],
    ['host=db hostaddr=10.0.0.1 sslmode=require', ['tls none db']],
    ['host=/tmp sslmode=require', ['plain']],
    ['host=db sslmode=verify-full sslrootcert=system', ['tls full db']],
    ['host=db sslrootcert=system', ['tls full db']],
  ])('%s', (conninfo, expected) => {
    expect(shape(conninfo)).toEqual(expected);
  });

  test.skipIf(!hasOpenssl).each([
    ['host=db sslmode=require sslrootcert=ca.crt', ['tls ca db']],
    ['host=db sslmode=verify-ca sslrootcert=ca.crt', ['tls ca db']],
    ['host=db sslmode=verify-full sslrootcert=ca.crt', ['tls full db']],
    ['host=::1 sslmode=verify-full sslrootcert=ca.crt', ['tls full -']],
    ['host=db sslrootcert=ca.crt', ['tls ca db', 'plain']],
  ])('%s', (conninfo, expected) => {
    expect(shape(conninfo)).toEqual(expected);
  });

  test.skipIf(!hasOpenssl)('certificates in the home folder are found', () => {
    const homeDir = file('full-home');
    mkdirSync(join(homeDir, '.postgresql'), { recursive: true });
    copyFileSync(file('ca.crt'), join(homeDir, '.postgresql', 'root.crt'));
    expect(shape('host=db sslmode=require', { homeDir })).toEqual(['tls ca db']);
    expect(shape('host=db sslmode=verify-full', { homeDir })).toEqual(['tls full db']);
    copyFileSync(file('client.crt'), join(homeDir, '.postgresql', 'postgresql.crt'));
    expect(() => resolve('host=db', { homeDir })).toThrow('has no private key');
    expect(resolve('host=db sslcertmode=disable', { homeDir }).tls.cert).toBeNull();
    copyFileSync(file('client.key'), join(homeDir, '.postgresql', 'postgresql.key'));
    expect(resolve('host=db', { homeDir }).tls.key).toBe(join(homeDir, '.postgresql', 'postgresql.key'));
  });

  test.skipIf(!hasOpenssl)('verify-full checks the name that was written, verify-ca none', () => {
    const cert = { subject: { CN: 'x' }, subjectaltname: 'DNS:other' } as unknown as Parameters<
      typeof checkServerIdentity
    >[1];
    const check = (mode: string) => {
      const settings = resolve(`host=db hostaddr=10.0.0.1 sslmode=${mode} sslrootcert=ca.crt`);
      const [attempt] = tlsAttempts(settings, settings.hosts[0]!);
      return attempt?.ssl === false ? null : attempt?.ssl.checkServerIdentity?.('10.0.0.1', cert);
    };
    expect(check('verify-full')).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID', host: 'db' });
    expect(check('verify-ca')).toBeUndefined();
  });
});

describe('mistakes in files name file and setting', () => {
  test.each([
    ['sslmode=verify-full', 'sslmode=verify-full needs a root certificate'],
    ['sslmode=verify-ca', 'sslmode=verify-ca needs a root certificate'],
    ['sslrootcert=nowhere.crt', `the file "${file('nowhere.crt')}" of sslrootcert does not exist`],
    ['sslrootcert=garbage.pem', `the file "${file('garbage.pem')}" of sslrootcert is not in PEM format`],
    ['sslcert=nowhere.crt', `the file "${file('nowhere.crt')}" of sslcert does not exist`],
    ['sslcrl=garbage.pem', `the file "${file('garbage.pem')}" of sslcrl is not in PEM format`],
    ['sslmode=require sslrootcert=system', 'sslrootcert=system cannot be used with sslmode=require'],
    ['sslnegotiation=direct', 'sslnegotiation=direct cannot be used with sslmode=prefer'],
    ['sslcertmode=require', 'sslcertmode=require is not supported'],
    ['ssl_min_protocol_version=SSLv3', 'ssl_min_protocol_version "SSLv3" is not known'],
  ])('%s', (conninfo, message) => {
    expect(() => resolve(`host=db ${conninfo}`)).toThrow(
      expect.objectContaining({ name: 'UsageError', message: expect.stringContaining(`server main: ${message}`) }),
    );
  });

  test.skipIf(!hasOpenssl).each([
    ['sslkey=open.key', `the private key "${file('open.key')}" of sslkey can be read by others`],
    ['sslkey=locked.key', 'the certificates cannot be used'],
    ['sslkey=locked.key sslpassword=wrong', 'the certificates cannot be used'],
    ['sslkey=ca.key', 'the certificates cannot be used'],
  ])('sslcert=client.crt %s', (conninfo, message) => {
    expect(() => resolve(`host=db sslcert=client.crt ${conninfo}`)).toThrow(message);
  });

  test.skipIf(!hasOpenssl)('a key that is locked opens with its password, which is never shown', () => {
    const settings = resolve('host=db sslcert=client.crt sslkey=locked.key sslpassword=hunter2');
    const shown = inspect([settings, tlsAttempts(settings, settings.hosts[0]!)], { depth: 20, showHidden: true });
    expect(shown).not.toContain('hunter2');
    expect(shown).not.toContain('PRIVATE KEY');
    const native = { env: {}, password: null, applicationName: 'x' };
    expect(() => toNativeEnv(settings, settings.hosts[0]!, native)).toThrow('cannot be given sslpassword');
  });

  test('nothing is read that no connection needs', () => {
    expect(() => resolve('host=db sslmode=disable sslrootcert=nowhere.crt')).not.toThrow();
    expect(() => resolve('host=/tmp sslrootcert=garbage.pem')).not.toThrow();
  });
});

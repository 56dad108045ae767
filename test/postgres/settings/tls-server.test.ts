import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { initialiseData } from '../../../src/postgres/local/initdb.ts';
import { launchServer, type ServerLaunch, waitUntilReady } from '../../../src/postgres/local/server-process.ts';
import { findServerUser } from '../../../src/postgres/local/server-user.ts';
import { startWatchdog } from '../../../src/postgres/local/watchdog.ts';
import { type AuthenticationEvents, guardAuthentication } from '../../../src/postgres/settings/authentication.ts';
import type { ConnectionSettings } from '../../../src/postgres/settings/connection-settings.ts';
import { toNativeEnv } from '../../../src/postgres/settings/native-env.ts';
import { toPgConfig } from '../../../src/postgres/settings/pg-config.ts';
import { resolveConnection } from '../../../src/postgres/settings/resolve-connection.ts';
import {
  isWorthNextAttempt,
  type TlsAttempt,
  tlsAttempts,
  watchTlsAnswer,
} from '../../../src/postgres/settings/tls-attempts.ts';

const folder = mkdtempSync(join(tmpdir(), 'tenantctl-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string) => join(folder, name);
mkdirSync(file('empty-home'));

const hasOpenssl = makeCertificates();
if (!hasOpenssl) process.stderr.write('tests: openssl is not installed: no test of TLS connections runs\n');

const resolve = (conninfo: string) =>
  resolveConnection({
    serverId: 'main',
    conninfo,
    env: {},
    homeDir: file('empty-home'),
    baseDir: folder,
    osUser: 'os',
    connectTimeoutMs: 10_000,
  });

/** Two authorities, and what the first one signed; false on a machine without openssl. */
function makeCertificates(): boolean {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  try {
    openssl('version');
  } catch {
    return false;
  }
  const key = (name: string) => {
    return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`];
  };
  for (const name of ['ca', 'other-ca']) {
    openssl('req', '-x509', '-days', '2', '-subj', `/CN=${name}`, '-out', `${name}.crt`, ...key(name));
  }
  writeFileSync(file('server.ext'), 'subjectAltName=DNS:db.test,DNS:*.fleet.test,IP:127.0.0.1\n');
  writeFileSync(file('client.ext'), '');
  for (const [name, subject] of [['server', 'db.test'] as const, ['client', 'certified'] as const]) {
    openssl('req', '-subj', `/CN=${subject}`, '-out', `${name}.csr`, ...key(name));
    const sign = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`];
    openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.crt`, ...sign);
  }
  openssl('ec', '-in', 'client.key', '-aes256', '-passout', 'pass:hunter2', '-out', 'locked.key');
  for (const name of ['client.key', 'locked.key']) chmodSync(file(name), 0o600);
  return true;
}

/** What a session does with the attempts. */
async function connect(settings: ConnectionSettings, attempts?: readonly TlsAttempt[]): Promise<string> {
  const host = settings.hosts[0]!;
  let first: unknown;
  for (const attempt of attempts ?? tlsAttempts(settings, host)) {
    const watch = watchTlsAnswer();
    const config = toPgConfig(settings, host, attempt, { applicationName: 'tenantctl/test' });
    const client = new pg.Client({ ...config, stream: watch.stream });
    client.on('error', () => {});
    guardAuthentication((client as unknown as { connection: AuthenticationEvents }).connection, settings);
    try {
      await client.connect();
      const { rows } = await client.query<{ ssl: boolean }>(
        'select ssl from pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid()',
      );
      return rows[0]?.ssl === true ? 'tls' : 'plain';
    } catch (error) {
      first ??= error;
      if (!isWorthNextAttempt(attempt, error, watch.answer())) throw error;
    } finally {
      await client.end();
    }
  }
  throw first;
}

const loginRules = [
  'local all all trust',
  'hostssl all certified all cert',
  'hostssl all encrypted all trust',
  'hostnossl all plain all trust',
  'host all scram all scram-sha-256',
  'host all clear all password',
  'host all open all trust',
];

describe.skipIf(!hasOpenssl)('a server with TLS', () => {
  let port = 0;
  let stop: (() => Promise<void>) | undefined;
  let removeAll: (() => Promise<void>) | undefined;

  beforeAll(async () => {
    const user = await findServerUser();
    const dir = await mkdtemp('/tmp/tenantctl-tls-');
    if (user !== null) await chown(dir, user.uid, user.gid);
    port = await freePort();
    const path = process.env.PATH;
    const launch = (settings: ServerLaunch['settings']): ServerLaunch => ({
      binDir: inject('cluster').postgres.binDir,
      dataDir: join(dir, 'data'),
      socketDir: dir,
      port,
      logFile: join(dir, 'server.log'),
      user,
      path,
      settings: { fsync: 'off', ...settings },
    });
    const watchdog = startWatchdog(dir, user, path);
    const start = async (settings: ServerLaunch['settings']) => {
      const server = await launchServer(launch(settings));
      watchdog.watch(server.pid);
      stop = async () => {
        server.signal('SIGINT');
        await server.exited;
      };
      await waitUntilReady(server, launch(settings));
    };
    removeAll = async () => {
      await stop?.();
      await watchdog.end();
      await rm(dir, { recursive: true, force: true });
    };
    await initialiseData(launch({}));
    await start({ listen_addresses: '' });
    await prepareServer(dir);
    await stop?.();
    await start({ listen_addresses: '127.0.0.1', ssl: 'on', ssl_ca_file: 'root.crt' });
  });
  afterAll(() => removeAll?.());

  /** The server writes its own files, so that they belong to it. */
  async function prepareServer(dir: string): Promise<void> {
    const admin = new pg.Client({ host: dir, port, user: 'postgres', database: 'postgres' });
    await admin.connect();
    const write = async (name: string, text: string) => {
      await admin.query('create temp table if not exists lines (line text)');
      await admin.query('truncate lines');
      await admin.query('insert into lines select unnest($1::text[])', [text.trim().split('\n')]);
      await admin.query(`copy lines to program 'umask 077; cat > ${name}'`);
    };
    try {
      await write('server.crt', readFileSync(file('server.crt'), 'utf8'));
      await write('server.key', readFileSync(file('server.key'), 'utf8'));
      await write('root.crt', readFileSync(file('ca.crt'), 'utf8'));
      await write('pg_hba.conf', loginRules.join('\n'));
      await admin.query("set password_encryption = 'scram-sha-256'");
      for (const role of ['certified', 'encrypted', 'plain', 'scram', 'clear', 'open']) {
        await admin.query(`create role ${pg.escapeIdentifier(role)} login password 'hunter2'`);
      }
    } finally {
      await admin.end();
    }
  }

  const on = (conninfo: string, host = 'db.test') =>
    resolve(`host=${host} hostaddr=127.0.0.1 port=${port} dbname=postgres ${conninfo}`);
  const outcome = (settings: ConnectionSettings) =>
    connect(settings).catch((error: { code?: string; failure?: { code?: string } }) => {
      return error.failure?.code ?? error.code ?? error;
    });

  test.each([
    ['user=open sslmode=disable', 'db.test', 'plain'],
    ['user=open sslmode=allow', 'db.test', 'plain'],
    ['user=open', 'db.test', 'tls'],
    ['user=open sslmode=require', 'db.test', 'tls'],
    ['user=encrypted sslmode=disable', 'db.test', '28000'],
    ['user=encrypted sslmode=allow', 'db.test', 'tls'],
    ['user=plain sslmode=prefer', 'db.test', 'plain'],
    ['user=plain sslmode=require', 'db.test', '28000'],
    ['user=open sslmode=verify-full sslrootcert=ca.crt', 'db.test', 'tls'],
    ['user=open sslmode=verify-full sslrootcert=ca.crt', 'one.fleet.test', 'tls'],
    ['user=open sslmode=verify-full sslrootcert=ca.crt', 'one.two.fleet.test', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['user=open sslmode=verify-full sslrootcert=ca.crt', 'wrong.test', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['user=open sslmode=verify-full sslrootcert=ca.crt', '127.0.0.1', 'tls'],
    ['user=open sslmode=verify-full sslrootcert=ca.crt', '127.0.0.2', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['user=open sslmode=verify-ca sslrootcert=ca.crt', 'wrong.test', 'tls'],
    ['user=open sslmode=verify-ca sslrootcert=other-ca.crt', 'db.test', 'SELF_SIGNED_CERT_IN_CHAIN'],
    ['user=open sslmode=require sslrootcert=other-ca.crt', 'db.test', 'SELF_SIGNED_CERT_IN_CHAIN'],
    ['user=open sslmode=prefer sslrootcert=other-ca.crt', 'db.test', 'plain'],
    ['user=certified sslmode=require', 'db.test', '28000'],
    ['user=certified sslmode=require sslcert=client.crt sslkey=client.key', 'db.test', 'tls'],
    ['user=certified sslcert=client.crt sslkey=locked.key sslpassword=hunter2', 'db.test', 'tls'],
    ['user=open dbname=nowhere', 'db.test', '3D000'],
    ['user=scram password=hunter2', 'db.test', 'tls'],
    ['user=scram password=hunter2 channel_binding=require', 'db.test', 'tls'],
    ['user=scram password=hunter2 channel_binding=disable', 'db.test', 'tls'],
    ['user=scram password=hunter2 sslmode=disable', 'db.test', 'plain'],
    ['user=scram password=hunter2 sslmode=disable channel_binding=require', 'db.test', 'authentication-refused'],
    ['user=open channel_binding=require', 'db.test', 'authentication-refused'],
    ['user=clear password=hunter2', 'db.test', 'tls'],
    ['user=clear password=hunter2 require_auth=scram-sha-256', 'db.test', 'authentication-refused'],
    ['user=clear password=hunter2 require_auth=!password', 'db.test', 'authentication-refused'],
    ['user=scram password=hunter2 require_auth=scram-sha-256', 'db.test', 'tls'],
    ['user=open require_auth=scram-sha-256', 'db.test', 'authentication-refused'],
    ['user=open require_auth=none', 'db.test', 'tls'],
    ['user=scram password=wrong sslmode=require', 'db.test', '28P01'],
    ['user=scram', 'db.test', 'password-missing'],
    ['user=clear', 'db.test', 'password-missing'],
  ])('%s at %s: %s', async (conninfo, host, expected) => {
    expect(await outcome(on(conninfo, host))).toBe(expected);
  });

  const psql = join(inject('cluster').postgres.client?.binDir ?? '/nowhere', 'psql');
  test.skipIf(!existsSync(psql)).each([
    ['user=open sslmode=verify-full sslrootcert=ca.crt', 't|open'],
    ['user=open sslmode=disable', 'f|open'],
    ['user=certified sslmode=require sslcert=client.crt sslkey=client.key', 't|certified'],
    ['user=scram password=hunter2 channel_binding=require', 't|scram'],
  ])('psql connects in the same way: %s', async (conninfo, expected) => {
    const settings = on(conninfo);
    const host = settings.hosts[0]!;
    const password = await settings.password(host.host, host.port);
    const caller = { PATH: process.env.PATH, PGSSLMODE: 'disable', ...inject('cluster').postgres.client?.env };
    const env = toNativeEnv(settings, host, { env: caller, password, applicationName: 'tenantctl/test' });
    const sql = 'select ssl, user from pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid()';
    const { stdout, stderr } = spawnSync(psql, ['-wXAtc', sql], { env, encoding: 'utf8' });
    expect({ stdout, stderr }).toEqual({ stdout: `${expected}\n`, stderr: '' });
  });

  test('without hostaddr the name is looked up', async () => {
    const settings = resolve(
      `host=127.0.0.1 port=${port} user=open dbname=postgres sslmode=verify-full sslrootcert=ca.crt`,
    );
    expect(await outcome(settings)).toBe('tls');
  });
});

describe('a server without TLS', () => {
  /** A unix socket never speaks TLS: asked over one, a server answers as one without certificates does. */
  const overSocket = (conninfo: string) => {
    const { socketDir, port, user } = inject('cluster');
    const settings = resolve(`host=${socketDir} port=${port} user=${user} dbname=postgres`);
    const wanted = resolve(`host=db ${conninfo}`);
    return connect(settings, tlsAttempts(wanted, wanted.hosts[0]!));
  };

  test.each(['prefer', 'allow', 'disable'])('%s goes on without', async (mode) => {
    expect(await overSocket(`sslmode=${mode}`)).toBe('plain');
  });

  test('require does not', async () => {
    await expect(overSocket('sslmode=require')).rejects.toThrow();
  });

  test('a server that is down gets one attempt', async () => {
    const settings = resolve(`host=127.0.0.1 port=${await freePort()}`);
    const [attempt] = tlsAttempts(settings, settings.hosts[0]!);
    const error = await connect(settings).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
    expect(isWorthNextAttempt(attempt!, error, 'none')).toBe(false);
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

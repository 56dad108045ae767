import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import pg from 'pg';
import { afterEach, describe, expect, inject, test, vi } from 'vitest';
import { describeConnection, redactConninfo } from '../../../src/postgres/settings/describe.ts';
import { toNativeEnv } from '../../../src/postgres/settings/native-env.ts';
import { orderHosts, toPgConfig } from '../../../src/postgres/settings/pg-config.ts';
import { type ConnectionInput, resolveConnection } from '../../../src/postgres/settings/resolve-connection.ts';
import { tlsAttempts } from '../../../src/postgres/settings/tls-attempts.ts';

const resolve = (conninfo: string, over: Partial<ConnectionInput> = {}) =>
  resolveConnection({
    serverId: 'main',
    conninfo,
    env: {},
    homeDir: '/nowhere',
    baseDir: '/',
    osUser: 'os',
    connectTimeoutMs: 2500,
    socketDirs: ['/tmp'],
    ...over,
  });
const applicationName = 'tenantctl/test';

/** The configuration of the first host's first attempt. */
function firstConfig(conninfo: string) {
  const settings = resolve(conninfo);
  const host = settings.hosts[0]!;
  return toPgConfig(settings, host, tlsAttempts(settings, host)[0]!, { applicationName });
}

describe('describeConnection', () => {
  test.each([
    ['postgres://me:pw@db/saas', 'postgres://me@db:5432/saas?sslmode=prefer'],
    ['postgres://me@a:1,b:2/saas?sslmode=disable', 'postgres://me@a:1,b:2/saas?sslmode=disable'],
    ['postgres://me@[::1]/saas', 'postgres://me@[::1]:5432/saas?sslmode=prefer'],
    ['dbname=saas user=me password=pw', 'postgres://me@/saas?host=/tmp&port=5432'],
    ['host=/srv,db', 'postgres://os@%2Fsrv:5432,db:5432/os?sslmode=prefer'],
    ["dbname='a/b' user='x@y' host=db", 'postgres://x%40y@db:5432/a%2Fb?sslmode=prefer'],
  ])('%s', (conninfo, expected) => {
    expect(describeConnection(resolve(conninfo))).toBe(expected);
  });

  test('what it says of a host and database can be read again', () => {
    const text = describeConnection(resolve("dbname='a/b' user='x@y' host=/srv,::1 port=1,2"));
    expect(describeConnection(resolve(text))).toBe(text);
  });
});

describe('redactConninfo', () => {
  test.each([
    ['postgres://me:pw@db/saas?sslmode=require', 'postgres://me:***@db/saas?sslmode=require'],
    ['postgres://me@db/saas', 'postgres://me@db/saas'],
    ['postgres://:pw@db', 'postgres://:***@db'],
    ['postgres://db/x?password=pw&user=me@x', 'postgres://db/x?password=***&user=me@x'],
    ['postgres://db/x?user=me&sslpassword=pw', 'postgres://db/x?user=me&sslpassword=***'],
    ['postgres://db/x?p%61ssword=pw', 'postgres://db/x?p%61ssword=***'],
    ["host=db password='p w' user=me", 'host=db password=*** user=me'],
    ["dbname='a b'", "dbname='a b'"],
    ['postgres://me:p@w@db/saas', 'postgres://***@db/saas'],
    ['postgres://me:p/w@db/saas', 'postgres://***@db/saas'],
    ['postgres://me:secret', 'postgres://***'],
    ['mysql://me:pw@db/x', 'mysql://***@db/x'],
    ['me:pw@db', '***'],
    ['host=db password=my secret', 'host=db ***'],
    ['host=db pwd=secret', 'host=db ***'],
    ["host=db password='secret", 'host=db ***'],
    ["dbname=x host='db", "dbname=x host='db"],
    ['postgres://me:p@w@db/x?password=secret', 'postgres://***@db/x?***'],
    ['secret', '***'],
  ])('%s', (text, expected) => {
    expect(redactConninfo(text)).toBe(expected);
  });
});

describe('toPgConfig', () => {
  test('every field', () => {
    expect(firstConfig('postgres://me@db:6000/saas?sslmode=disable&options=-c%20a%3Db&keepalives_idle=7')).toEqual({
      host: 'db',
      port: 6000,
      user: 'me',
      database: 'saas',
      password: expect.any(Function),
      ssl: false,
      sslnegotiation: 'postgres',
      enableChannelBinding: false,
      options: '-c a=b',
      application_name: applicationName,
      client_encoding: 'UTF8',
      connectionTimeoutMillis: 2500,
      keepAlive: true,
      keepAliveInitialDelayMillis: 7000,
    });
  });

  test('hostaddr is where it connects', () => {
    expect(firstConfig('host=db hostaddr=10.0.0.1')).toMatchObject({ host: '10.0.0.1', ssl: { servername: 'db' } });
  });

  test('a plain attempt has no direct negotiation', () => {
    expect(firstConfig('host=db sslmode=require sslnegotiation=direct').sslnegotiation).toBe('direct');
    expect(firstConfig('host=/tmp sslmode=require sslnegotiation=direct').sslnegotiation).toBe('postgres');
  });

  test('the password comes when it is asked for, and its absence is a failure with a hint', async () => {
    const ask = (conninfo: string) => (firstConfig(conninfo).password as () => Promise<string>)();
    expect(await ask('postgres://me:pw@db')).toBe('pw');
    await expect(ask('postgres://me@db')).rejects.toMatchObject({
      name: 'TenantError',
      failure: { code: 'password-missing', message: expect.stringContaining('server main'), hint: expect.any(String) },
    });
  });

  describe('keeps node-postgres from the environment', () => {
    afterEach(() => vi.unstubAllEnvs());
    const inspectClient = (conninfo: string) => {
      const client = new pg.Client(firstConfig(conninfo)) as unknown as {
        connectionParameters: object;
        getStartupConf(): object;
        ssl: unknown;
      };
      return { ...client.connectionParameters, startup: client.getStartupConf(), ssl: client.ssl };
    };
    // What a setting leaves open is what the environment of the settings says: here nothing.
    test.each(['postgres://me@db/saas?options=', 'host=/tmp options=', 'host=db options= sslmode=disable'])(
      '%s',
      (conninfo) => {
        const comparable = () => JSON.stringify(inspectClient(conninfo));
        const before = comparable();
        for (const name of ['HOST', 'PORT', 'USER', 'DATABASE', 'PASSWORD', 'SSLMODE', 'OPTIONS', 'APPNAME']) {
          vi.stubEnv(`PG${name}`, name === 'PORT' ? '1' : name === 'SSLMODE' ? 'require' : 'from-env');
        }
        vi.stubEnv('PGSSLNEGOTIATION', 'direct');
        vi.stubEnv('PGCONNECT_TIMEOUT', '99');
        vi.stubEnv('PGCLIENT_ENCODING', 'LATIN1');
        expect(comparable()).toBe(before);
      },
    );
  });
});

test('orderHosts shuffles only when asked to', () => {
  const ranks = [0.9, 0.1, 0.5];
  const names = (conninfo: string) => {
    let i = 0;
    return orderHosts(resolve(conninfo), () => ranks[i++] ?? 0).map(({ host }) => host);
  };
  expect(names('host=a,b,c')).toEqual(['a', 'b', 'c']);
  expect(names('host=a,b,c load_balance_hosts=random')).toEqual(['b', 'c', 'a']);
});

describe('toNativeEnv', () => {
  const env = {
    PATH: '/bin',
    HOME: '/h',
    PGHOST: 'x',
    PGSERVICE: 'x',
    PGTZ: 'x',
    PGPASSWORD: 'x',
    pguser: 'x',
    NO: undefined,
  };
  const native = (conninfo: string, password: string | null = 'pw', index = 0) => {
    const settings = resolve(conninfo);
    return toNativeEnv(settings, settings.hosts[index]!, { env, password, applicationName });
  };

  test('the whole environment', () => {
    expect(native('postgres://me@a:1,b:2/saas?sslmode=require&target_session_attrs=read-write', 'pw', 1)).toEqual({
      PATH: '/bin',
      HOME: '/h',
      PGHOST: 'b',
      PGPORT: '2',
      PGUSER: 'me',
      PGDATABASE: 'saas',
      PGPASSWORD: 'pw',
      PGPASSFILE: join(devNull, 'none'),
      PGAPPNAME: applicationName,
      PGCLIENTENCODING: 'UTF8',
      PGCONNECT_TIMEOUT: '3',
      PGTARGETSESSIONATTRS: 'read-write',
      PGCHANNELBINDING: 'prefer',
      PGGSSENCMODE: 'disable',
      PGSSLMODE: 'require',
      PGSSLNEGOTIATION: 'postgres',
      PGSSLCERTMODE: 'disable',
      PGSSLMINPROTOCOLVERSION: 'TLSv1.2',
    });
  });

  test.each<[string, Record<string, string>]>([
    ['host=db hostaddr=10.0.0.1', { PGHOST: 'db', PGHOSTADDR: '10.0.0.1' }],
    ['host=/tmp sslmode=verify-full sslrootcert=system', { PGHOST: '/tmp', PGSSLMODE: 'disable' }],
    ['host=db options=-c\\ a=b', { PGOPTIONS: '-c a=b' }],
    ['host=db connect_timeout=1', { PGCONNECT_TIMEOUT: '2' }],
    ['host=db connect_timeout=0', { PGCONNECT_TIMEOUT: '0' }],
    ['host=db require_auth=md5', { PGREQUIREAUTH: 'md5' }],
    ['host=db sslmode=verify-full sslrootcert=system', { PGSSLROOTCERT: 'system', PGSSLMODE: 'verify-full' }],
  ])('%s', (conninfo, expected) => {
    expect(native(conninfo)).toMatchObject(expected);
  });

  test('no password, no variable', () => {
    expect(native('host=db', null)).not.toHaveProperty('PGPASSWORD');
  });

  const psql = join(inject('cluster').postgres.client?.binDir ?? '/nowhere', 'psql');
  test.skipIf(!existsSync(psql))('psql reaches the server with it, and says nothing about password files', () => {
    const { socketDir, port, user, postgres } = inject('cluster');
    const settings = resolve(`host=${socketDir} port=${port} user=${user} dbname=postgres options='-c work_mem=77kB'`);
    const run = toNativeEnv(settings, settings.hosts[0]!, {
      env: { PATH: process.env.PATH, ...postgres.client?.env },
      password: null,
      applicationName,
    });
    const sql = "select current_setting('work_mem'), current_setting('application_name')";
    const { stdout, stderr } = spawnSync(psql, ['-wXAtc', sql], { env: run, encoding: 'utf8' });
    expect({ stdout, stderr }).toEqual({ stdout: `77kB|${applicationName}\n`, stderr: '' });
  });
});

describe('no secret is ever shown', () => {
  /** Small and seeded: the same passwords each run. */
  function* passwords(): Generator<string> {
    const alphabet = ['a', 'Z', '7', '@', '/', ':', '%', '?', '#', '&', '=', ' ', "'", '"', '\\', '+', ',', 'é', '$'];
    let seed = 42;
    for (let i = 0; i < 200; i += 1) {
      let text = 'hunter2';
      for (let j = 0; j < 1 + (i % 8); j += 1) {
        seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
        text += alphabet[seed % alphabet.length];
      }
      yield `${text}!`;
    }
  }
  const leaks = (text: string, password: string) =>
    text.includes('hunter2') || text.includes(password) || text.includes(encodeURIComponent(password));

  test('in any form of what was resolved', async () => {
    for (const password of passwords()) {
      const quoted = `'${password.replace(/[\\']/g, '\\$&')}'`;
      const forms = [
        `postgres://me:${encodeURIComponent(password)}@db/saas?sslmode=disable`,
        `postgres://db/saas?sslmode=disable&password=${encodeURIComponent(password)}`,
        `host=db dbname=saas sslmode=disable password = ${quoted} user=me`,
      ];
      for (const conninfo of forms) {
        const settings = resolve(conninfo);
        const host = settings.hosts[0]!;
        expect(await settings.password(host.host, host.port)).toBe(password);
        const config = toPgConfig(settings, host, tlsAttempts(settings, host)[0]!, { applicationName });
        const native = { ...toNativeEnv(settings, host, { env: {}, password, applicationName }) };
        expect(native.PGPASSWORD).toBe(password);
        delete native.PGPASSWORD;
        for (const shown of [
          describeConnection(settings),
          redactConninfo(conninfo),
          redactConninfo(`${conninfo} '`),
          JSON.stringify([settings, config, native]),
          inspect([settings, config, native, new pg.Client(config)], { depth: 20, showHidden: true }),
        ]) {
          if (leaks(shown, password)) expect.unreachable(`${conninfo} leaks in ${shown}`);
        }
      }
    }
  });

  test('in the message about a string that was not encoded', () => {
    for (const password of passwords()) {
      for (const conninfo of [`postgres://me:${password}@db/x`, `host=db password=${password} user=me`, password]) {
        let error: unknown = null;
        try {
          resolve(conninfo);
        } catch (caught) {
          error = caught;
        }
        const shown = error === null ? '' : inspect(error, { depth: 9 });
        if (leaks(shown, password)) expect.unreachable(`${conninfo} leaks in ${shown}`);
        if (error !== null && leaks(redactConninfo(conninfo), password)) expect.unreachable(conninfo);
      }
    }
  });
});

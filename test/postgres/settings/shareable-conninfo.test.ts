import { describe, expect, it } from 'vitest';
import { parseConninfo } from '../../../src/postgres/settings/conninfo.ts';
import { formatConninfoUrl } from '../../../src/postgres/settings/format-conninfo.ts';
import { resolveConnection } from '../../../src/postgres/settings/resolve-connection.ts';
import { shareableConninfo } from '../../../src/postgres/settings/shareable-conninfo.ts';

describe('formatConninfoUrl', () => {
  it.each([
    'postgres://u@db-1.internal:5432/postgres',
    'postgres://u@a:1,b:2/x?target_session_attrs=read-write',
    'postgres://a%40b%3Ac@[::1]:5432/my%2Fdb%3F',
    'host=/var/run/postgresql port=5433 user=u dbname=x',
    'host=a,b port=5432 user=u',
    'host=db hostaddr=10.0.0.1 port=5432',
    `host=db options='-c a=b&c -c d=100%' user='o''hara' `.replace("''", "\\'"),
    'service=prod',
    'host= user= dbname=',
    'dbname=x',
  ])('%s is read back as it was', (text) => {
    const settings = parseConninfo(text);
    expect(new Map(parseConninfo(formatConninfoUrl(settings)))).toEqual(new Map(settings));
  });

  it('looks like what a person writes', () => {
    expect(formatConninfoUrl(parseConninfo('user=u host=db dbname=x port=5432 sslmode=require'))).toBe(
      'postgres://u@db:5432/x?sslmode=require',
    );
  });
});

describe('shareableConninfo', () => {
  const share = (conninfo: string | null, env: Readonly<Record<string, string>> = {}) => {
    const settings = resolveConnection({
      serverId: 'main',
      conninfo,
      env,
      homeDir: '/nowhere',
      baseDir: '/nowhere',
      osUser: 'me',
      connectTimeoutMs: 1000,
      socketDirs: [],
      database: 'postgres',
    });
    return shareableConninfo(conninfo, env, settings);
  };

  it('completes what was left to defaults and PG* variables', () => {
    expect(share(null).url).toBe('postgres://me@localhost:5432/postgres');
    expect(share('host=db', { PGUSER: 'ops', PGPORT: '6000', PGSSLMODE: 'require' }).url).toBe(
      'postgres://ops@db:6000/postgres?sslmode=require',
    );
    expect(share('postgres://a,b/x').url).toBe('postgres://me@a,b/x');
  });

  it.each([
    ['postgres://u:s3cret@db/x', ['password']],
    ['postgres://u@db/x?password=s3cret', ['password']],
    [`host=db password='s3cret' sslpassword=s3cret`, ['password', 'sslpassword']],
  ])('leaves out the secrets of %s', (conninfo, removed) => {
    const shared = share(conninfo);
    expect(shared.url).not.toMatch(/s3cret|password/);
    expect(shared.removed).toEqual(removed);
  });

  it('does not write down PGPASSWORD, which goes on counting', () => {
    expect(share('host=db', { PGPASSWORD: 's3cret' })).toMatchObject({
      url: 'postgres://me@db:5432/postgres',
      removed: [],
    });
  });
});

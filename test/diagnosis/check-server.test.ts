import { expect, it } from 'vitest';
import { checkServer, type ServerUnderCheck } from '../../src/diagnosis/check-server.ts';
import type { Finding } from '../../src/diagnosis/finding.ts';
import type { ServerHealth } from '../../src/postgres/server-health.ts';
import { resolveConnection } from '../../src/postgres/settings/resolve-connection.ts';

const health: ServerHealth = {
  versionNum: 170_002,
  isStandby: false,
  isEncrypted: true,
  role: 'ops "x"',
  isSuperuser: false,
  canCreateDatabases: true,
  canCreateRoles: true,
  bypassesRls: false,
  readsAllData: true,
  maxConnections: 100,
  reservedConnections: 3,
  usedConnections: 10,
  maxPreparedTransactions: 0,
  maxLocksPerTransaction: 64,
};

function check(
  id: string,
  changes: Partial<ServerHealth>,
  options: { url?: string; now?: string; isPooled?: boolean } = {},
): Finding | undefined {
  const server: ServerUnderCheck = {
    id: 'main',
    settings: resolveConnection({
      serverId: 'main',
      conninfo: options.url ?? 'postgres://u@db.example/postgres?sslmode=require',
      env: {},
      homeDir: '/nowhere',
      baseDir: '/nowhere',
      osUser: 'u',
      connectTimeoutMs: 1000,
    }),
    health: { ...health, ...changes },
    isPooled: options.isPooled ?? false,
    perServer: 8,
  };
  return checkServer(server, new Date(options.now ?? '2026-11-22')).find((each) => each.id === id);
}

it.each([
  [180_000, 'ok'],
  [150_018, 'ok'],
  // Its last release was ten days before.
  [140_020, 'warning'],
  [130_022, 'warning'],
  [120_022, 'warning'],
  [110_022, 'error'],
])('version %i is %s', (versionNum, level) => {
  expect(check('version', { versionNum })?.level).toBe(level);
});

it('a version is out of support from its November on, not before', () => {
  expect(check('version', { versionNum: 140_019 }, { now: '2026-11-01' })?.level).toBe('ok');
});

it.each([
  ['postgres://u@db.example/postgres', false, 'warning'],
  ['postgres://u@db.example/postgres?sslmode=require', true, 'info'],
  ['postgres://u@db.example/postgres?sslmode=verify-full&sslrootcert=system', true, 'ok'],
  ['postgres://u@127.0.0.1/postgres', false, 'ok'],
  ['postgres://u@[::1]/postgres', false, 'ok'],
  ['postgres://u@localhost,db.example/postgres', false, 'warning'],
  ['host=/tmp user=u', false, 'ok'],
  ['host=localhost hostaddr=10.0.0.1 user=u', false, 'warning'],
])('encryption of %s, encrypted %s: %s', (url, isEncrypted, level) => {
  expect(check('encryption', { isEncrypted }, { url })?.level).toBe(level);
});

it('a standby cannot be changed', () => {
  expect(check('standby', { isStandby: true })?.level).toBe('warning');
});

it('a pooler in session mode is worth knowing', () => {
  expect(check('pooler', {}, { isPooled: true })?.level).toBe('info');
});

it('half of the free connections must do', () => {
  expect(check('connection-headroom', { usedConnections: 81 })?.level).toBe('ok');
  expect(check('connection-headroom', { usedConnections: 82 })?.message).toContain('so 7 in place of perServer 8');
  expect(check('connection-headroom', { usedConnections: 200 })?.message).toContain('so 1 in place of perServer 8');
});

it('quotes the role in what is to be typed', () => {
  expect(check('bypass-rls', {})).toMatchObject({ level: 'info', fix: 'ALTER ROLE "ops ""x""" BYPASSRLS' });
});

it('asks nothing of a superuser, and knows that 13 has no pg_read_all_data', () => {
  expect(check('bypass-rls', { isSuperuser: true })).toBeUndefined();
  expect(check('read-all-data', { readsAllData: null })).toBeUndefined();
  expect(check('read-all-data', { readsAllData: false })?.level).toBe('info');
});

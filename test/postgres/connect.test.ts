import { randomBytes } from 'node:crypto';
import { expect, inject, it } from 'vitest';
import { connect } from '../../src/postgres/connect.ts';
import { errorKind, toFailure } from '../../src/postgres/failure.ts';
import { resolveConnection } from '../../src/postgres/settings/resolve-connection.ts';
import { closedPort } from '../support/closed-port.ts';
import { createTestDatabase } from '../support/database.ts';

const database = await createTestDatabase();

function settingsOf(hosts: string, ports: string, more = '') {
  const { user } = inject('cluster');
  return resolveConnection({
    serverId: 'main',
    conninfo: `host=${hosts} port=${ports} user=${user} dbname=${database.name} ${more}`,
    env: {},
    osUser: user,
    connectTimeoutMs: 10_000,
    baseDir: '/',
    homeDir: '/no/such/home',
  });
}

it('several hosts that are down are a server that is down', async () => {
  const ports = `${await closedPort()},${await closedPort()}`;
  const error = await connect(settingsOf('127.0.0.1,127.0.0.1', ports), { applicationName: 'x' }).catch((it) => it);
  expect(errorKind(error)).toBe('connection');
  expect(toFailure(error)).toMatchObject({ code: 'ECONNREFUSED', hint: expect.any(String) });
});

it('so are hosts that are none of those asked for; no session is left there', async () => {
  const { socketDir, port } = inject('cluster');
  const applicationName = `wrong host ${randomBytes(6).toString('hex')}`;
  for (const hosts of [socketDir, `${socketDir},${socketDir}`]) {
    const settings = settingsOf(hosts, String(port), 'target_session_attrs=standby');
    const error = await connect(settings, { applicationName }).catch((it) => it);
    expect([errorKind(error), toFailure(error).code]).toEqual(['connection', 'wrong-host']);
  }
  const left = 'select from pg_catalog.pg_stat_activity where application_name = $1';
  expect(await database.query(left, [applicationName])).toEqual([]);
});

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkHealth, type HealthCheck, refuseHealthSql } from '../../../src/commands/migrate/health.ts';
import { makeBarrier, passBarrier } from '../../support/barrier.ts';
import { createFleet, numbered, type TestFleet } from '../../support/fleet.ts';
import { inFleet, makeContext, type TestContext } from '../../support/in-fleet.ts';

const { PATH } = process.env;
const facts = { run: '2026-11-22T101500Z-k3f9', wave: 2, waves: 3 };

/** What is said of the first `count` tenants. */
function check(
  fleet: TestFleet,
  health: Partial<HealthCheck>,
  count: number,
  at: TestContext = makeContext(fleet.folder, { PATH }),
): Promise<string | null> {
  return inFleet(at, (opened) => {
    const tenants = opened.tenants.slice(0, count);
    return checkHealth(at.context, opened, tenants, { sql: null, command: null, ...health }, facts);
  });
}

test('one sick tenant of fifty is told with its rows, and only the migrated are asked', async () => {
  const fleet = await createFleet({ schemas: 50 });
  const sql = "SELECT 500 AS errors WHERE current_schema() = 'tenant_t41'";
  expect(await check(fleet, { sql }, 40)).toBeNull();
  expect(await check(fleet, { sql }, 50)).toBe('health check: 1 of 50 tenants complain: t41 (errors=500)');
});

test('what cannot be asked is not well', async () => {
  const fleet = await createFleet({ schemas: 10 });
  await fleet.db.query('create table tenant_t01.errors (n int); insert into tenant_t01.errors values (7)');
  expect(await check(fleet, { sql: 'SELECT n FROM errors' }, 10)).toBe(
    'health check: 1 of 10 tenants complain: t01 (n=7); could not be made on 9 of 10 tenants: 42P01 relation "errors" does not exist: t02, t03, t04 and 6 more',
  );
});

test('SQL that is no query is refused before the run, and no reason to end without a report in its middle', async () => {
  const fleet = await createFleet({ schemas: 1 });
  const health = { sql: 'DELETE FROM users', command: null };
  await expect(refuseHealthSql(health)).rejects.toMatchObject({ details: ['--health-sql: it is no query'] });
  await expect(refuseHealthSql({ sql: 'SELECT 1', command: null })).resolves.toBeUndefined();
  expect(await check(fleet, health, 1)).toBe('health check: --health-sql: it is no query');
});

test('the command knows the run and the tenants', async () => {
  const fleet = await createFleet({ schemas: 3 });
  const command = 'env | grep ^TENANTCTL_ | sort > facts; cat > tenants';
  expect(await check(fleet, { command }, 2)).toBeNull();
  expect(await readFile(join(fleet.folder, 'tenants'), 'utf8')).toBe('t01\nt02\n');
  expect((await readFile(join(fleet.folder, 'facts'), 'utf8')).trim().split('\n')).toEqual([
    'TENANTCTL_ENVIRONMENT=test',
    'TENANTCTL_RUN=2026-11-22T101500Z-k3f9',
    'TENANTCTL_TENANT_COUNT=2',
    'TENANTCTL_WAVE=2/3',
  ]);
});

test('a command that fails is told with its last line, those before it are noted', async () => {
  const fleet = await createFleet({ schemas: 1 });
  const at = makeContext(fleet.folder, { PATH });
  const command = 'echo "checking checkout"; echo "5 % errors" >&2; exit 1';
  expect(await check(fleet, { command }, 1, at)).toBe('health check: the command ended with exit code 1: 5 % errors');
  expect(at.notices()).toEqual(['health command: checking checkout']);
});

test('the command is not asked when the query complains', async () => {
  const fleet = await createFleet({ schemas: 1 });
  expect(await check(fleet, { sql: 'SELECT 1', command: 'touch asked' }, 1)).toBe(
    'health check: 1 of 1 tenant complain: t01 (1)',
  );
  await expect(readFile(join(fleet.folder, 'asked'))).rejects.toThrow('ENOENT');
});

test('an operator who stops does not wait for it', async () => {
  const fleet = await createFleet({ schemas: 1 });
  const barrier = await makeBarrier(fleet.db);
  await barrier.close(...numbered('tenant_t', 1));
  const at = makeContext(fleet.folder, { PATH });
  const sql = passBarrier.replace('SELECT', "SELECT set_config('lock_timeout', '0', true),");
  const running = check(fleet, { sql, command: 'touch asked' }, 1, at);
  await barrier.waiting(1);
  at.interrupt('stop');
  expect(await running).toBe('health check: stopped');
  await expect(readFile(join(fleet.folder, 'asked'))).rejects.toThrow('ENOENT');
  // Sooner than the check's own statement_timeout would end it.
}, 20_000);

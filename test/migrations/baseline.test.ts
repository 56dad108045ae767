import { expect, test } from 'vitest';
import type { Tenant } from '../../src/fleet/tenant.ts';
import { recordBaseline } from '../../src/migrations/baseline.ts';
import { readFolder } from '../../src/migrations/folder.ts';
import type { TakeOptions } from '../../src/migrations/take-tenant.ts';
import { createFleet } from '../support/fleet.ts';
import { threeTables } from '../support/migrations.ts';
import { openSession } from '../support/sessions.ts';

const take: TakeOptions = {
  run: '2026-11-22T101500Z-k3f9',
  applicationName: 'test',
  lockTimeoutMs: 2000,
  statementTimeoutMs: 0,
  indexTimeoutMs: 0,
  signal: new AbortController().signal,
  onStep: () => {},
};

async function oneTenant() {
  const fleet = await createFleet({ schemas: 1, migrations: threeTables });
  const { migrations } = readFolder(`${fleet.folder}/migrations`, fleet.folder);
  const tenant: Tenant = {
    ...{ id: 't01', server: 'main', database: fleet.db.name, schema: 'tenant_t01', labels: {}, role: null },
    searchPath: ['tenant_t01', 'public'],
  };
  return { fleet, tenant, migrations, session: await openSession(fleet.db.name) };
}

test('writes the migrations with their checksums, as ones that nobody ran', async () => {
  const { fleet, tenant, migrations, session } = await oneTenant();
  await recordBaseline(session, tenant, migrations.slice(0, 2), take);
  const rows = await fleet.db.query('select name, checksum, run from tenant_t01.pgmigrations order by id');
  expect(rows).toEqual(
    migrations.slice(0, 2).map(({ name, checksum }) => ({ name, checksum, run: `${take.run}#fake` })),
  );
  // Nothing to take back: no down section undoes what was not done.
  expect(await fleet.tables()).toEqual([]);
});

test('a history that came between the plan and the lock is left alone', async () => {
  const { fleet, tenant, migrations, session } = await oneTenant();
  await fleet.run('migrate --all --to 0001');
  await expect(recordBaseline(session, tenant, migrations, take)).rejects.toMatchObject({
    failure: { code: 'has-history' },
  });
  expect(await fleet.history('tenant_t01')).toEqual(['0001_one']);
});

test('so is a schema that has gone', async () => {
  const { fleet, tenant, migrations, session } = await oneTenant();
  await fleet.db.query('drop schema tenant_t01');
  await expect(recordBaseline(session, tenant, migrations, take)).rejects.toMatchObject({
    failure: { code: 'schema-missing' },
  });
});

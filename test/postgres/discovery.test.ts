import { expect, it } from 'vitest';
import { runRegistryQuery } from '../../src/postgres/discovery.ts';
import { prepareReader } from '../../src/postgres/tenant-session.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/sessions.ts';

const database = await createTestDatabase();
await database.query("create table tenants (id text); insert into tenants values ('acme')");

it('reads a registry on a session that read schemas before, and leaves it to be made ready again', async () => {
  const session = await openSession(database.name);
  await prepareReader(session, 'reader');
  expect(await runRegistryQuery(session, 'select id from tenants;')).toEqual([{ id: 'acme' }]);
  expect(session.preparedFor).toBeNull();
  expect(session.isIdle).toBe(true);
});

it.each([
  ['delete from tenants returning id', '25006'],
  ['commit; delete from tenants', '42601'],
  ['do $$ begin commit; delete from tenants; end $$', '2D000'],
])('can only read: %s', async (query, code) => {
  const session = await openSession(database.name);
  await expect(runRegistryQuery(session, query)).rejects.toMatchObject({ code });
  expect(await database.query('select id from tenants')).toEqual([{ id: 'acme' }]);
});

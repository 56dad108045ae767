import { randomBytes } from 'node:crypto';
import { afterAll, expect, it } from 'vitest';
import { filledSchemas, makeGround, readGround } from '../../src/drift/scratch-ground.ts';
import { asSuperuser, createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/sessions.ts';

const suffix = randomBytes(3).toString('hex');
const owner = `Own "er" ${suffix}`;
const reader = `reader_${suffix}`;
const quoted = `"${owner.replaceAll('"', '""')}"`;
await asSuperuser((admin) => admin.query(`create role ${quoted}; create role ${reader}`));
afterAll(() => asSuperuser(async (admin) => void (await admin.query(`drop role ${quoted}; drop role ${reader}`))));

const tenants = await createTestDatabase();
const scratch = await createTestDatabase();

it('gives a scratch database what a tenant’s schema had before its first migration', async () => {
  await tenants.query(`
    create schema "Weird-1" authorization ${quoted};
    grant usage on schema "Weird-1" to ${reader} with grant option;
    revoke create on schema "Weird-1" from ${quoted};
    alter default privileges for role ${quoted} in schema "Weird-1" grant select, insert on tables to ${reader};
    alter default privileges for role ${quoted} revoke execute on functions from public;
    alter default privileges for role ${quoted} grant usage on types to ${reader} with grant option;
    create schema other; alter default privileges in schema other grant select on tables to ${reader};`);
  const [from, to] = [await openSession(tenants.name), await openSession(scratch.name)];
  const ground = await readGround(from, 'Weird-1');
  expect(ground.statements.join('\n')).not.toContain('other');
  expect(await makeGround(to, ground, [{ name: 'pgcrypto', schema: 'Ext "x"' }])).toEqual([]);
  expect(await readGround(to, 'Weird-1')).toEqual(ground);
  const acl = async (db: typeof tenants) =>
    db.query(`select nspacl::text[] as acl from pg_namespace where nspname = 'Weird-1'`);
  expect(await acl(scratch)).toEqual(await acl(tenants));
  const defaults = async (db: typeof tenants) =>
    db.query(`select defaclobjtype, defaclacl::text[] as acl from pg_default_acl
       where defaclnamespace = 0 or defaclnamespace = '"Weird-1"'::regnamespace order by defaclobjtype`);
  expect(await defaults(scratch)).toEqual(await defaults(tenants));
  expect((await defaults(tenants)).length).toBe(3);
  await scratch.query(`set role ${quoted}`);
  await expect(scratch.query('create table "Weird-1".t ()')).rejects.toThrow('permission denied');
  await scratch.query('reset role');
});

it('says what the login role may not make, and goes on', async () => {
  const session = await openSession(scratch.name);
  await session.raw(`SET ROLE ${reader}`);
  const lacking = await makeGround(session, { statements: ['CREATE SCHEMA nope', 'SELECT 1'] }, []);
  expect(lacking).toEqual(['the login role may not run CREATE SCHEMA nope']);
  await expect(makeGround(session, { statements: ['CREATE NONSENSE'] }, [])).rejects.toThrow('syntax error');
});

it('says which extensions cannot be made, whatever the reason, and goes on', async () => {
  const session = await openSession(scratch.name);
  const extensions = ['not_there', 'citext'].map((name) => ({ name, schema: 'extensions' }));
  const lacking = await makeGround(session, { statements: [] }, extensions);
  expect(lacking).toEqual([expect.stringMatching(/^extension not_there cannot be made: .*not_there/)]);
  expect(await scratch.query(`select extname from pg_extension where extname = 'citext'`)).toHaveLength(1);
});

it('finds the schemas in which there is something beside extensions', async () => {
  const session = await openSession(tenants.name);
  await tenants.query(`create schema only_extension; create extension citext schema only_extension; create schema empty;
    create schema has_function; create function has_function.f() returns int language sql as 'select 1';
    create schema has_table; create table has_table.t ()`);
  const asked = ['only_extension', 'empty', 'has_function', 'has_table', 'nowhere'];
  expect(await filledSchemas(session, asked)).toEqual(['has_function', 'has_table']);
});

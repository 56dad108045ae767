import { expect, it } from 'vitest';
import {
  maxIdentifierBytes,
  quoteIdentifier,
  quoteQualified,
  quoteSearchPath,
} from '../../src/postgres/identifiers.ts';
import { createTestDatabase } from '../support/database.ts';
import { hostileNames } from './hostile-names.ts';

const database = await createTestDatabase();

it('is cut by the server at the length we say', async () => {
  const [row] = await database.query<{ bytes: string }>("select current_setting('max_identifier_length') as bytes");
  expect(Number(row?.bytes)).toBe(maxIdentifierBytes);
});

it.each(hostileNames)('names a schema, a table and a column unmistakably: %j', async (name) => {
  expect(Buffer.byteLength(name)).toBeLessThanOrEqual(maxIdentifierBytes);
  const quoted = quoteIdentifier(name);
  await database.query(`create schema ${quoted}`);
  await database.query(`create table ${quoteQualified(name, name)} (${quoted} int)`);
  const found = await database.query(
    `select n.nspname, c.relname, a.attname
       from pg_catalog.pg_class c
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = 1
      where c.relkind = 'r' and n.nspname = $1`,
    [name],
  );
  expect(found).toEqual([{ nspname: name, relname: name, attname: name }]);
});

it('makes a search path of them in their order', async () => {
  // `$user` stands for the role even when it is quoted: it is no name there.
  const names = hostileNames.filter((name) => name !== '$user');
  const [row] = await database.query<{ path: string[] }>(
    `select pg_catalog.current_schemas(false)::text[] as path
       from (select pg_catalog.set_config('search_path', $1, false)) as set`,
    [quoteSearchPath([...names, 'public'])],
  );
  expect(row?.path).toEqual([...names, 'public']);
});

it('refuses a NUL, which PostgreSQL would take for the end', () => {
  expect(() => quoteIdentifier('a\0b')).toThrow(RangeError);
  expect(() => quoteQualified('public', '\0')).toThrow(RangeError);
});

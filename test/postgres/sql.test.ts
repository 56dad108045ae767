import { describe, expect, it } from 'vitest';
import { fragment, identifier, integer, join, sql } from '../../src/postgres/sql.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/sessions.ts';
import { hostileNames } from './hostile-names.ts';

const database = await createTestDatabase();

describe('sql', () => {
  it('puts names into the text, quoted, and everything else into values', () => {
    expect(sql`SELECT ${identifier('a"b')} FROM ${identifier('s', 't')} WHERE id = ${7} AND name = ${"o'"} `).toEqual({
      text: 'SELECT "a""b" FROM "s"."t" WHERE id = $1 AND name = $2 ',
      values: [7, "o'"],
    });
  });

  it('numbers values through fragments, however deep', () => {
    const either = join(
      [
        fragment`a = ${1}`,
        fragment`b IN (${join(
          [2, 3].map((n) => fragment`${n}`),
          ', ',
        )})`,
      ],
      ' OR ',
    );
    expect(sql`SELECT ${0} WHERE (${either}) AND c = ${4}`).toEqual({
      text: 'SELECT $1 WHERE (a = $2 OR b IN ($3, $4)) AND c = $5',
      values: [0, 1, 2, 3, 4],
    });
    expect(sql`SELECT ${join([], ', ')}`).toEqual({ text: 'SELECT ', values: [] });
  });

  it('splices a whole number as it is, and nothing but that', () => {
    expect(sql`LIMIT ${integer(5.9)} OFFSET ${integer(-3)}`).toEqual({ text: 'LIMIT 5 OFFSET -3', values: [] });
    expect(() => sql`LIMIT ${integer('1; drop table x' as never)}`).toThrow(RangeError);
    expect(() => sql`LIMIT ${integer(Number.POSITIVE_INFINITY)}`).toThrow(RangeError);
  });

  it('takes no value for a name, whatever it looks like', () => {
    const forged = { text: '"; drop', strings: ['x'], parts: [] };
    expect(sql`SELECT ${forged} `.values).toEqual([forged]);
  });

  it.each(hostileNames)('brings a name to the server and back: %j', async (name) => {
    const session = await openSession(database.name);
    await session.query(sql`CREATE SCHEMA ${identifier(name)}`);
    await session.query(sql`CREATE TABLE ${identifier(name, name)} (${identifier(name)} text)`);
    await session.query(sql`INSERT INTO ${identifier(name, name)} VALUES (${name})`);
    const condition = fragment`${identifier(name)} = ${name}`;
    const rows = await session.query(sql`SELECT * FROM ${identifier(name, name)} WHERE ${condition}`);
    expect(rows).toEqual([{ [name]: name }]);
    expect(await database.query("select from pg_catalog.pg_namespace where nspname = 'public'")).toHaveLength(1);
  });
});

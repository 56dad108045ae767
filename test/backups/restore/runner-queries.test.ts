import { expect, it } from 'vitest';
import { queriesOn } from '../../../src/backups/restore/runner-queries.ts';
import type { SqlRunner } from '../../../src/backups/restore/sql-text.ts';
import { sql } from '../../../src/postgres/sql.ts';

it('asks one question after the other, with values in the text and names left alone', async () => {
  const asked: string[] = [];
  let underWay = 0;
  const ask = async (text: string) => {
    underWay += 1;
    expect(underWay).toBe(1);
    await Promise.resolve();
    asked.push(text);
    underWay -= 1;
  };
  const runner: SqlRunner = { run: ask, rows: (text) => ask(text).then(() => []) };
  const queries = queriesOn(runner);
  await Promise.all([
    queries.query(sql`SELECT ${"it's $2"}::text, ${['a', 'b']}::text[], ${null}::text, ${3} -- it's a $1`),
    queries.raw(`GRANT SELECT ON "odd $1" TO "a""$2"`),
    queries.raw(`SELECT '$1', $1`, [true]),
  ]);
  expect(asked).toEqual([
    "SELECT 'it''s $2'::text, ARRAY['a', 'b']::pg_catalog.text[]::text[], NULL::text, (3) -- it's a $1",
    `GRANT SELECT ON "odd $1" TO "a""$2"`,
    `SELECT '$1', true`,
  ]);
});

import type { Queries } from '../../postgres/session.ts';
import type { Sql } from '../../postgres/sql.ts';
import { literal, literals, type SqlRunner } from './sql-text.ts';

/**
 * The transaction of a restore for who writes statements with parameters: they are asked one after the other, with their
 * values in the text.
 */
export function queriesOn(runner: SqlRunner): Queries {
  let last: Promise<unknown> = Promise.resolve();
  const ask = <Row>({ text, values }: Sql): Promise<readonly Row[]> => {
    const asked = last.then(() => askOne<Row>(runner, withValues(text, values)));
    last = asked;
    // Whoever asked is told; the others find the transaction ended.
    asked.catch(() => {});
    return asked;
  };
  return {
    isIdle: false,
    isBroken: false,
    query: async <Row>(statement: Sql) => [...(await ask<Row>(statement))],
    raw: async (statement: Parameters<Queries['raw']>[0], values: unknown[] = []) => {
      const text = typeof statement === 'string' ? statement : statement.text;
      const rows = [...(await ask<Record<string, unknown>>({ text, values }))];
      return { rows, rowCount: rows.length, fields: [], command: '', oid: 0 };
    },
  };
}

async function askOne<Row>(runner: SqlRunner, text: string): Promise<readonly Row[]> {
  if (/^\s*(?:SELECT|WITH)\b/i.test(text)) return runner.rows<Row>(text);
  await runner.run(text);
  return [];
}

/** What is quoted or a comment may hold `$1` of its own: a table can be called so. */
const parts = /--[^\n]*|"(?:[^"]|"")*"|'(?:[^']|'')*'|\$(?<number>\d+)/g;

function withValues(text: string, values: readonly unknown[]): string {
  return text.replace(parts, (part: string, number: string | undefined) => {
    return number === undefined ? part : constant(values[Number(number) - 1]);
  });
}

function constant(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  if (typeof value === 'string') return literal(value);
  if (Array.isArray(value)) return literals(value.map(String));
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number' && Number.isFinite(value)) return `(${value})`;
  throw new TypeError('a value that has no constant of SQL');
}

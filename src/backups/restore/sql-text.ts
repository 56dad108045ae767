import { quoteIdentifier } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';

/**
 * Where the statements of a restore run: in psql, which alone can take the rows of an archive in the same transaction,
 * or in a session. psql knows no parameters, so that statements are texts with their values in them (`literal`).
 */
export interface SqlRunner {
  /** Statements whose rows nobody wants. */
  run(text: string): Promise<void>;
  /** One SELECT, without a semicolon. */
  rows<Row>(select: string): Promise<readonly Row[]>;
}

export function sessionRunner(session: Session): SqlRunner {
  return {
    run: async (text) => void (await session.raw(text)),
    rows: async <Row>(select: string) => (await session.raw(select)).rows as Row[],
  };
}

/** All of it, or nothing. */
export async function inTransaction<T>(runner: SqlRunner, work: () => Promise<T>): Promise<T> {
  await runner.run('BEGIN');
  try {
    const result = await work();
    await runner.run('COMMIT');
    return result;
  } catch (error) {
    await runner.run('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** A text as a constant of SQL, whatever `standard_conforming_strings` says. */
export function literal(text: string): string {
  if (text.includes('\0')) throw new RangeError('a text for the server cannot hold a NUL character');
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return text.includes('\\') ? `E${quoted}` : quoted;
}

/** `ARRAY['a', 'b']::text[]`. */
export function literals(texts: readonly string[]): string {
  return `ARRAY[${texts.map(literal).join(', ')}]::pg_catalog.text[]`;
}

export function renameSchema(from: string, to: string): string {
  return `ALTER SCHEMA ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`;
}

export async function schemaExists(runner: SqlRunner, schema: string): Promise<boolean> {
  const rows = await runner.rows(`SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = ${literal(schema)}`);
  return rows.length > 0;
}

export async function databaseExists(runner: SqlRunner, database: string): Promise<boolean> {
  const rows = await runner.rows(`SELECT 1 FROM pg_catalog.pg_database WHERE datname = ${literal(database)}`);
  return rows.length > 0;
}

export function dropDatabase(name: string): string {
  return `DROP DATABASE IF EXISTS ${quoteIdentifier(name)} WITH (FORCE)`;
}

import type { SqlSection } from './sql-file.ts';

/** One statement of a section, with its place in the whole file (UTF-16 units) and its parse. */
export interface Statement {
  readonly offset: number;
  readonly text: string;
  /** `IndexStmt`, `TransactionStmt`, … and its fields, as libpg-query names them. */
  readonly type: string;
  readonly node: Readonly<Record<string, unknown>>;
}

interface ParsedStatement {
  readonly stmt?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Bytes; left out when 0. */
  readonly stmt_location?: number;
  readonly stmt_len?: number;
}

/**
 * Splits with PostgreSQL's own parser. Loaded when a migration is pending. The parse trees of a large file take many
 * times its size: whoever asks keeps only what it needs of them.
 */
export async function loadParser(): Promise<(section: SqlSection) => readonly Statement[] | null> {
  const { loadModule, parseSync } = await import('libpg-query');
  await loadModule();
  return (section) => split(section, parseSync);
}

export type StatementParser = Awaited<ReturnType<typeof loadParser>>;

/** Null: this parser does not understand the text; the server's word on it decides. */
function split(section: SqlSection, parse: (text: string) => unknown): readonly Statement[] | null {
  let parsed: readonly ParsedStatement[];
  try {
    // An empty file is not an error for node-pg-migrate, the parser does not take it.
    parsed = section.text.trim() === '' ? [] : ((parse(section.text) as { stmts?: ParsedStatement[] }).stmts ?? []);
  } catch {
    return null;
  }
  const bytes = Buffer.from(section.text);
  const isAscii = bytes.length === section.text.length;
  const unitsBefore = (byte: number) => (isAscii ? byte : bytes.subarray(0, byte).toString().length);
  return parsed.map(({ stmt = {}, stmt_location: start = 0, stmt_len: length }) => {
    const end = length === undefined || length === 0 ? bytes.length : start + length;
    // It begins at the statement's first word: white space and comments before it are left out.
    const text = bytes.subarray(start, end).toString().trimEnd();
    const [type = '', node = {}] = Object.entries(stmt)[0] ?? [];
    return { offset: section.offset + unitsBefore(start), text, type, node };
  });
}

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
    const raw = bytes.subarray(start, end).toString();
    const skipped = leadingSpace(raw);
    const [type = '', node = {}] = Object.entries(stmt)[0] ?? [];
    return { offset: section.offset + unitsBefore(start) + skipped, text: raw.slice(skipped).trimEnd(), type, node };
  });
}

/** White space and comments stand before a statement in the parser's eyes; a person looks for its first word. */
function leadingSpace(text: string): number {
  let at = 0;
  for (;;) {
    const rest = text.slice(at);
    const skipped = /^(?:\s+|--[^\n]*(?:\n|$))/.exec(rest)?.[0].length ?? blockComment(rest);
    if (skipped === 0) return at;
    at += skipped;
  }
}

/** Length of a block comment at the beginning; PostgreSQL lets them nest. */
function blockComment(text: string): number {
  if (!text.startsWith('/*')) return 0;
  let depth = 0;
  for (const match of text.matchAll(/\/\*|\*\//g)) {
    depth += match[0] === '/*' ? 1 : -1;
    if (depth === 0) return match.index + 2;
  }
  return text.length;
}

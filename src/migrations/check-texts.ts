import { RefusedError } from '../errors.ts';
import { loadParser, type Statement, type StatementParser } from './statements.ts';

/** SQL that complains by rows, as somebody wrote it. */
export interface CheckText {
  /** How people find it: `migrations/0007_unique_email.sql:3`, `--health-sql`. */
  readonly name: string;
  readonly sql: string;
}

/** The same, looked through: one query that only reads, as far as its text can tell. */
export interface TenantCheck {
  readonly name: string;
  readonly query: string;
}

/** Looks through the texts with PostgreSQL's own parser; refuses (exit 5) all that are not one query, at once. */
export async function readChecks(texts: readonly CheckText[]): Promise<readonly TenantCheck[]> {
  if (texts.length === 0) return [];
  const parse = await loadParser();
  const objections: string[] = [];
  const checks = texts.flatMap(({ name, sql }): readonly TenantCheck[] => {
    const read = readCheck(parse, sql);
    if ('objection' in read) objections.push(`${name}: ${read.objection}`);
    return 'objection' in read ? [] : [{ name, query: read.query }];
  });
  if (objections.length === 0) return checks;
  throw new RefusedError('the checks cannot be made as they stand', {
    details: objections,
    hint: 'a check is one SELECT, VALUES or WITH … SELECT whose rows are the complaints, on one line',
  });
}

function readCheck(parse: StatementParser, sql: string): { readonly query: string } | { readonly objection: string } {
  const statements = parse({ text: sql, offset: 0 });
  if (statements === null) return { objection: 'PostgreSQL’s parser does not understand it' };
  const [statement, second] = statements;
  if (statement === undefined) return { objection: 'it holds no statement' };
  if (second !== undefined) return { objection: `it holds ${statements.length} statements` };
  const objection = objectTo(statement);
  return objection === null ? { query: statement.text } : { objection };
}

function objectTo({ type, node }: Statement): string | null {
  if (type !== 'SelectStmt') return 'it is no query';
  if (mentions(node, writing)) return 'it would write';
  return mentions(node, locking) ? 'it would lock rows' : null;
}

const writing = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt', 'intoClause']);
const locking = new Set(['lockingClause']);

/** At any depth: a WITH or a subquery can hold what the query as a whole is not. */
function mentions(node: unknown, keys: ReadonlySet<string>): boolean {
  if (typeof node !== 'object' || node === null) return false;
  return Object.entries(node).some(([key, value]) => keys.has(key) || mentions(value, keys));
}

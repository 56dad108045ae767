import type { CustomTypesConfig, QueryArrayConfig, QueryConfig } from 'pg';
import type { Session } from './session.ts';

/** The beginning of what a query returns, as the server writes it. */
export interface FirstRows {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
  readonly hasMore: boolean;
}

export interface FirstRowsOptions {
  readonly maxRows: number;
  /** Characters of a value that are kept; what is cut ends in `…`. */
  readonly maxValueLength: number;
}

/**
 * The isolation level does not depend on the role's default. Rows that row-level security would hide are an error, not
 * silence. All rows are wanted, or to know that there is none: the whole cost of a plan counts, not how soon the first
 * row comes.
 */
const begin = `BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;
  SET LOCAL row_security = off;
  SET LOCAL cursor_tuple_fraction = 1;
  SET LOCAL jit = off`;

/**
 * Reads the first rows of a query that somebody else wrote, in a read-only transaction of its own and one round trip.
 * Several can be asked for at once. A cursor takes nothing but one SELECT or VALUES, and of millions of rows only those
 * that are fetched are made.
 */
export async function readFirstRows(session: Session, query: string, options: FirstRowsOptions): Promise<FirstRows> {
  // The extended protocol takes one statement, whatever the text holds. A line end, for it may end in a comment.
  const declare = {
    text: `DECLARE tenantctl_rows NO SCROLL CURSOR FOR ${query}\n`,
    queryMode: 'extended',
  } as QueryConfig;
  const fetch: QueryArrayConfig = {
    text: `FETCH ${options.maxRows + 1} FROM tenantctl_rows`,
    rowMode: 'array',
    types: { getTypeParser: () => shortenTo(options.maxValueLength) } as unknown as CustomTypesConfig,
  };
  const results = await Promise.allSettled([
    session.raw(begin),
    session.raw(declare),
    session.raw(fetch),
    session.raw('ROLLBACK'),
  ]);
  // The first one tells; those after it only say that the transaction is aborted.
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  const { fields, rows } = (results[2] as Extract<(typeof results)[2], { status: 'fulfilled' }>).value;
  return {
    columns: fields.map(({ name }) => name),
    rows: rows.slice(0, options.maxRows) as unknown as FirstRows['rows'],
    hasMore: rows.length > options.maxRows,
  };
}

/** A plain slice would keep the whole value in memory. */
function shortenTo(length: number): (value: string) => string {
  return (value) => (value.length <= length ? value : `${Buffer.from(value.slice(0, length)).toString()}…`);
}

import type { Migration } from './folder.ts';
import { lineAndColumn } from './sql-file.ts';

/** A check that a migration asks for: it is made on all tenants that the migration is pending for, before any moves. */
export interface Preflight {
  /** As it is written, not looked through. */
  readonly sql: string;
  /** 1-based. */
  readonly line: number;
}

const inSql = /^[ \t]*--[ \t]*tenantctl:preflight(?!\S)(.*)$/gm;
/** A line `-- …` is no comment in JavaScript, so its own comments do as well. */
const inJavaScript = /^[ \t]*(?:(?:\/\/|\/?\*+)[ \t]*(?:--)?|--)[ \t]*tenantctl:preflight(?!\S)(.*)$/gm;

const known = new WeakMap<Migration, readonly Preflight[]>();

/** The lines `-- tenantctl:preflight <sql>` of a migration file, wherever in it they stand. */
export function readPreflights(migration: Migration): readonly Preflight[] {
  let preflights = known.get(migration);
  if (preflights === undefined) {
    preflights = findPreflights(migration.text, migration.kind === 'sql' ? inSql : inJavaScript);
    known.set(migration, preflights);
  }
  return preflights;
}

function findPreflights(text: string, pattern: RegExp): readonly Preflight[] {
  return [...text.matchAll(pattern)].map(({ index, 1: sql = '' }) => ({
    sql: sql.trim(),
    line: lineAndColumn(text, index).line,
  }));
}

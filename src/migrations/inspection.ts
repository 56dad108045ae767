import type { Migration } from './folder.ts';
import { isConcurrentReindex } from './judge-statement.ts';
import { setsTimeouts, worksOnIndexConcurrently } from './lone-statements.ts';
import type { SqlSection } from './sql-file.ts';
import { lineAndColumn } from './sql-file.ts';
import { type ConcurrentIndex, factsOf, type StatementFacts } from './statement-facts.ts';
import type { Statement, StatementParser } from './statements.ts';

/** Why a migration must not run as it stands, with its place in the file. */
export interface Objection {
  readonly message: string;
  readonly hint: string;
  /** What the statement makes sense for, if not for one tenant; null: it is wrong anywhere. */
  readonly scope: 'database' | 'server' | null;
  readonly at: string;
}

/** What the parse of one section says. Offsets count UTF-16 units from the beginning of the file. */
export interface Inspection {
  /** Where each statement begins; null when the parser does not understand the text. */
  readonly statements: readonly { readonly offset: number; readonly text: string }[] | null;
  readonly objections: readonly Objection[];
  /** Of those statements that there is something to say of, in order: what makes lanes and hazards. */
  readonly facts: readonly StatementFacts[];
}

type Verdict = Omit<Objection, 'at'>;

/** Inspects each section once, however many tenants it runs on. */
export class Inspector {
  readonly #parse: StatementParser;
  readonly #known = new WeakMap<SqlSection, Inspection>();

  constructor(parse: StatementParser) {
    this.#parse = parse;
  }

  inspect(migration: Migration, direction: 'up' | 'down'): Inspection {
    const section = migration.kind === 'sql' ? migration.sql[direction] : null;
    if (migration.kind !== 'sql' || section === null) return { statements: null, objections: [], facts: [] };
    let inspection = this.#known.get(section);
    if (inspection === undefined) {
      const inspected = inspectStatements(migration, migration.sql.usesTransaction, this.#parse(section));
      const unparted = direction === 'up' ? objectToUnparted(migration) : [];
      inspection = { ...inspected, objections: [...unparted, ...inspected.objections] };
      this.#known.set(section, inspection);
    }
    return inspection;
  }

  /** Indexes that a text from elsewhere builds CONCURRENTLY: what a migration in JavaScript wants to run. */
  indexesIn(text: string): readonly ConcurrentIndex[] {
    const statements = this.#parse({ text, offset: 0 }) ?? [];
    return statements.flatMap((statement) => factsOf(statement)?.index ?? []);
  }

  /**
   * Is a text one statement that builds, drops or rebuilds indexes CONCURRENTLY? No is the answer for what the parser
   * does not understand: who else would wait behind it, nobody knows.
   */
  worksOnIndexConcurrently(text: string): boolean {
    if (!/concurrently/i.test(text)) return false;
    const statements = this.#parse({ text, offset: 0 });
    return statements?.length === 1 && statements.every(worksOnIndexConcurrently);
  }

  /** Does a text set lock_timeout or statement_timeout for what comes after it? */
  setsTimeouts(text: string): boolean {
    return /_timeout|\breset\b/i.test(text) && (this.#parse({ text, offset: 0 })?.some(setsTimeouts) ?? false);
  }

  /**
   * May a text end the transaction that it runs in, or begin one? One that the parser does not understand is searched
   * for words. Asked of each query of a migration in JavaScript: what holds none of the words is not parsed.
   */
  mayEndTransaction(text: string): boolean {
    if (!controlWords.test(text)) return false;
    const statements = this.#parse({ text, offset: 0 });
    return statements === null ? endingWords.test(text) : statements.some(endsTransaction);
  }
}

/** Without a line for the way up the whole file runs on it: what is made is dropped again, and recorded as applied. */
function objectToUnparted(migration: Extract<Migration, { kind: 'sql' }>): readonly Objection[] {
  const { down, runsDownOnUp } = migration.sql;
  if (down === null || !runsDownOnUp) return [];
  const blank = down.text.length - down.text.trimStart().length;
  const { line, column } = lineAndColumn(migration.text, down.offset + blank);
  return [
    {
      message: 'the down section would run on the way up too, for no line says where up begins',
      hint: 'write a line `-- Up Migration` at the top of the file',
      scope: null,
      at: `${migration.displayPath}:${line}:${column}`,
    },
  ];
}

function inspectStatements(
  migration: Migration,
  usesTransaction: boolean,
  statements: readonly Statement[] | null,
): Inspection {
  if (statements === null) return { statements, objections: [], facts: [] };
  const objections = statements.flatMap((statement) => {
    const verdict = judge(statement, usesTransaction);
    if (verdict === null) return [];
    const { line, column } = lineAndColumn(migration.text, statement.offset);
    return [{ ...verdict, at: `${migration.displayPath}:${line}:${column}` }];
  });
  // Without a transaction each statement is sent alone, so its text is needed; otherwise the place is enough.
  const kept = statements.map(({ offset, text }) => ({ offset, text: usesTransaction ? '' : text }));
  return { statements: kept, objections, facts: distinctFacts(statements) };
}

/**
 * A file of a hundred thousand INSERTs has one thing to say of them, at the first: what is true of a statement later on,
 * when the plan has made more, is true of it there.
 */
function distinctFacts(statements: readonly Statement[]): readonly StatementFacts[] {
  const seen = new Set<string>();
  return statements.flatMap((statement) => {
    const facts = factsOf(statement);
    if (facts === null) return [];
    const key = JSON.stringify({ ...facts, offset: 0 });
    const isRepeated = seen.has(key) && facts.index === null && facts.hazards.every(({ when }) => when === undefined);
    seen.add(key);
    return isRepeated ? [] : [facts];
  });
}

function judge(statement: Statement, usesTransaction: boolean): Verdict | null {
  const belongsTo = databaseWide(statement);
  if (belongsTo !== null) {
    return {
      message: `${belongsTo.what} belongs to the ${belongsTo.scope}, not to one tenant`,
      hint: 'put it into a migrations folder of its own and name that under `shared:` in the inventory',
      scope: belongsTo.scope,
    };
  }
  if (endsTransaction(statement)) {
    return {
      message: 'transaction control inside a migration would end the tenant’s own transaction half-way',
      hint: 'remove it: each tenant is one transaction anyway, and a file without one sends each statement alone',
      scope: null,
    };
  }
  if (isCopyFromClient(statement)) {
    return {
      message: 'COPY FROM STDIN waits for data that a migration file cannot bring',
      hint: 'write INSERT statements (pg_dump --inserts makes them)',
      scope: null,
    };
  }
  if (usesTransaction && needsNoTransaction(statement)) {
    return {
      message: 'this statement cannot run inside a transaction',
      hint: 'put it into a file of its own, marked `-- tenantctl:no-transaction`',
      scope: null,
    };
  }
  return null;
}

/** One of them is in every statement that begins or ends a transaction. */
const controlWords = /\b(?:begin|start|commit|end|rollback|abort|prepare)\b/i;
const endingWords = /\b(?:commit|end|rollback|abort|prepare\s+transaction)\b/i;

function endsTransaction({ type, node }: Statement): boolean {
  if (type !== 'TransactionStmt') return false;
  const kind = String(node.kind);
  return !['TRANS_STMT_SAVEPOINT', 'TRANS_STMT_RELEASE', 'TRANS_STMT_ROLLBACK_TO'].includes(kind);
}

function isCopyFromClient({ type, node }: Statement): boolean {
  return type === 'CopyStmt' && node.is_from === true && node.filename === undefined;
}

function needsNoTransaction({ type, node }: Statement): boolean {
  switch (type) {
    case 'IndexStmt':
    case 'DropStmt':
      return node.concurrent === true;
    case 'ReindexStmt':
      return isConcurrentReindex(node) || !['REINDEX_OBJECT_INDEX', 'REINDEX_OBJECT_TABLE'].includes(String(node.kind));
    case 'ClusterStmt':
      return node.relation === undefined;
    case 'AlterTableStmt':
      return JSON.stringify(node.cmds ?? []).includes('"concurrent":true');
    case 'VacuumStmt':
      return node.is_vacuumcmd === true;
    case 'AlterSystemStmt':
    case 'CreatedbStmt':
    case 'DropdbStmt':
    case 'CreateTableSpaceStmt':
    case 'DropTableSpaceStmt':
      return true;
    default:
      return false;
  }
}

const serverWide: Readonly<Record<string, string>> = {
  CreateRoleStmt: 'CREATE ROLE',
  DropRoleStmt: 'DROP ROLE',
  CreatedbStmt: 'CREATE DATABASE',
  DropdbStmt: 'DROP DATABASE',
  CreateTableSpaceStmt: 'CREATE TABLESPACE',
  DropTableSpaceStmt: 'DROP TABLESPACE',
  AlterSystemStmt: 'ALTER SYSTEM',
};

const ofDatabase: Readonly<Record<string, string>> = {
  CreateExtensionStmt: 'CREATE EXTENSION',
  AlterExtensionStmt: 'ALTER EXTENSION',
  CreatePublicationStmt: 'CREATE PUBLICATION',
  AlterPublicationStmt: 'ALTER PUBLICATION',
  CreateSubscriptionStmt: 'CREATE SUBSCRIPTION',
  AlterSubscriptionStmt: 'ALTER SUBSCRIPTION',
  DropSubscriptionStmt: 'DROP SUBSCRIPTION',
  CreateEventTrigStmt: 'CREATE EVENT TRIGGER',
};

/** In a tenant's migration these land in the first tenant and fail for the rest. */
function databaseWide({ type, node }: Statement): { what: string; scope: 'server' | 'database' } | null {
  const forServer = serverWide[type];
  if (forServer !== undefined) return { what: forServer, scope: 'server' };
  const forDatabase = ofDatabase[type];
  if (forDatabase !== undefined) return { what: forDatabase, scope: 'database' };
  if (type === 'DropStmt' && ['OBJECT_EXTENSION', 'OBJECT_PUBLICATION'].includes(String(node.removeType))) {
    return { what: node.removeType === 'OBJECT_EXTENSION' ? 'DROP EXTENSION' : 'DROP PUBLICATION', scope: 'database' };
  }
  return null;
}

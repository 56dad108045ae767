import { type Creation, creationsOf } from './created-objects.ts';
import type { HazardMark } from './hazard-mark.ts';
import { lockedBy } from './hazards-alter-table.ts';
import { judgeStatement } from './judge-statement.ts';
import { type LaneMark, laneMarksOf } from './lane-marks.ts';
import { asText, type RelationName, relationOf } from './parse-tree.ts';
import type { Statement } from './statements.ts';
import { type Touch, touchesOf } from './touches.ts';

/** An index that a statement builds without locking out writers; a failed try leaves it there, invalid. */
export interface ConcurrentIndex {
  /** Null: PostgreSQL makes the name up. */
  readonly name: string | null;
  readonly table: string;
  /** Null: the search path finds the table. */
  readonly schema: string | null;
  readonly ifNotExists: boolean;
}

/** What is kept of one statement's parse: little, for a file may have a hundred thousand of them. */
export interface StatementFacts {
  /** UTF-16 units from the beginning of the file. */
  readonly offset: number;
  readonly hazards: readonly HazardMark[];
  readonly lanes: readonly LaneMark[];
  readonly touches: readonly Touch[];
  readonly creations: readonly Creation[];
  /** Tables that cannot be written from here to the end of the transaction. */
  readonly locks: readonly RelationName[];
  readonly index: ConcurrentIndex | null;
  /** What nobody looks into: a DO block, a procedure. */
  readonly isOpaque: boolean;
}

/** Null: there is nothing to say of it. */
export function factsOf(statement: Statement): StatementFacts | null {
  const target = relationOf(statement.node.relation);
  if (target !== null && isPlainInsert(statement)) return insertInto(target, statement.offset);
  const hazards = judgeStatement(statement);
  const facts: StatementFacts = {
    offset: statement.offset,
    hazards,
    lanes: laneMarksOf(statement, hazards),
    touches: touchesOf(statement),
    creations: creationsOf(statement),
    locks: statement.type === 'AlterTableStmt' ? lockedBy(statement.node) : exclusivelyLocked(hazards),
    index: concurrentIndex(statement),
    isOpaque: statement.type === 'DoStmt' || statement.type === 'CallStmt',
  };
  const { lanes, touches, creations, index, isOpaque } = facts;
  const isEmpty = [hazards, lanes, touches, creations].every((list) => list.length === 0);
  return isEmpty && index === null && !isOpaque ? null : facts;
}

/** INSERT … VALUES without a query in it: what large files are made of, so that it is not taken apart. */
function isPlainInsert({ type, node, text }: Statement): boolean {
  return type === 'InsertStmt' && node.withClause === undefined && !/\b(?:select|table)\b/i.test(text);
}

function insertInto(target: RelationName, offset: number): StatementFacts {
  const touches: readonly Touch[] = target.schema === 'pg_temp' ? [] : [{ ...target, use: 'changes' }];
  return { offset, hazards: [], lanes: [], touches, creations: [], locks: [], index: null, isOpaque: false };
}

function exclusivelyLocked(hazards: readonly HazardMark[]): readonly RelationName[] {
  return hazards.flatMap(({ hazard, relation }) =>
    hazard === 'access-exclusive' && relation !== null ? [relation] : [],
  );
}

function concurrentIndex({ type, node }: Statement): ConcurrentIndex | null {
  const relation = relationOf(node.relation);
  if (type !== 'IndexStmt' || node.concurrent !== true || relation === null) return null;
  return {
    name: asText(node.idxname),
    table: relation.name,
    schema: relation.schema,
    ifNotExists: node.if_not_exists === true,
  };
}

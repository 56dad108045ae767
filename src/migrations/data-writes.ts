import { asNode, asNodes, asTexts, type ParseNode, type RelationName, relationOf, unwrap, walk } from './parse-tree.ts';
import type { Statement } from './statements.ts';

/** Rows that a statement, or a WITH query in it, writes. */
export interface Write {
  readonly kind: 'insert' | 'update' | 'delete' | 'merge' | 'create';
  readonly target: RelationName;
  readonly hasCondition: boolean;
  /** What an UPDATE sets. */
  readonly columns: readonly string[];
}

const kinds: Readonly<Record<string, Write['kind']>> = {
  InsertStmt: 'insert',
  UpdateStmt: 'update',
  DeleteStmt: 'delete',
  MergeStmt: 'merge',
};

/** All writes of a statement. A MERGE that deletes is one of each kind. */
export function findWrites(statement: Statement): readonly Write[] {
  const writes: Write[] = [];
  walk({ [statement.type]: statement.node }, (node, _, type) => {
    const kind = kinds[type];
    const target = relationOf(node.relation);
    if (kind === undefined || target === null) return;
    const columns = asNodes(node.targetList).flatMap((each) => asTexts(unwrap(each, 'ResTarget').name));
    writes.push({ kind, target, hasCondition: node.whereClause !== undefined, columns });
    if (deletesByMerge(node)) writes.push({ kind: 'delete', target, hasCondition: true, columns: [] });
  });
  const made = relationOf(asNode(statement.node.into).rel) ?? relationOf(asNode(statement.node.intoClause).rel);
  if (made !== null) writes.push({ kind: 'create', target: made, hasCondition: false, columns: [] });
  return writes;
}

function deletesByMerge({ mergeWhenClauses }: ParseNode): boolean {
  return asNodes(mergeWhenClauses).some((each) => unwrap(each, 'MergeWhenClause').commandType === 'CMD_DELETE');
}

/** Tables that a statement reads from, those that it makes up itself (WITH) left out. */
export function tablesRead(statement: Statement): readonly RelationName[] {
  const own = new Set<string>();
  const read: RelationName[] = [];
  walk({ [statement.type]: statement.node }, (node, key, type) => {
    for (const name of type === 'CommonTableExpr' ? asTexts(node.ctename) : []) own.add(name);
    const relation = relationOf(node);
    if (relation !== null && !['relation', 'rel'].includes(key)) read.push(relation);
  });
  return read.filter(({ schema, name }) => schema !== null || !own.has(name));
}

/** Is it cut into pieces by a LIMIT somewhere? */
export function isBounded(statement: Statement): boolean {
  let isLimited = false;
  walk({ [statement.type]: statement.node }, ({ limitCount }) => {
    // LIMIT ALL is a constant that is null.
    isLimited ||= limitCount !== undefined && unwrap(limitCount, 'A_Const').isnull !== true;
  });
  return isLimited;
}

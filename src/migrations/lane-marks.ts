import { findWrites, isBounded, tablesRead } from './data-writes.ts';
import type { HazardMark } from './hazard-mark.ts';
import { isConcurrentReindex, isVacuumFull } from './judge-statement.ts';
import type { Lane } from './lanes.ts';
import { asNode, asNodes, type RelationName, relationsIn, unwrap } from './parse-tree.ts';
import type { Statement } from './statements.ts';
import { setsSearchPath } from './touches.ts';

/** A lane that a statement is in, unless all of these relations were made before it by the same plan. */
export interface LaneMark {
  readonly lane: Exclude<Lane, 'transaction'>;
  /** None: whatever was made. */
  readonly relations: readonly RelationName[];
}

/** Lanes that the parse of one statement shows; what it does in other schemas is seen by its touches. */
export function laneMarksOf(statement: Statement, hazards: readonly HazardMark[]): readonly LaneMark[] {
  const { type, node } = statement;
  if (setsSearchPath(statement)) return [{ lane: 'shared', relations: [] }];
  switch (type) {
    case 'IndexStmt':
      return [indexLane(node)];
    case 'ReindexStmt':
      return [
        isConcurrentReindex(node) ? { lane: 'index', relations: [] } : { lane: 'build', relations: relationsOf(node) },
      ];
    case 'ClusterStmt':
      return [{ lane: 'build', relations: relationsOf(node) }];
    case 'VacuumStmt': {
      const tables = asNodes(node.rels).map((each) => unwrap(each, 'VacuumRelation'));
      return isVacuumFull(node) ? [{ lane: 'build', relations: tables.flatMap(relationsOf) }] : [];
    }
    case 'CopyStmt':
      return node.is_from === true ? [{ lane: 'backfill', relations: relationsOf(node) }] : [];
    case 'RefreshMatViewStmt':
      return [{ lane: 'backfill', relations: relationsOf(node) }];
    default:
      return [...writeLanes(statement), ...longScans(hazards)];
  }
}

function relationsOf(node: Statement['node']): readonly RelationName[] {
  return relationsIn([node.relation]);
}

function indexLane(node: Statement['node']): LaneMark {
  if (node.concurrent !== true) return { lane: 'build', relations: relationsOf(node) };
  const isPlain =
    node.whereClause === undefined &&
    asNodes(node.indexParams).every((each) => unwrap(each, 'IndexElem').expr === undefined);
  return { lane: isPlain ? 'index' : 'expression-index', relations: [] };
}

/** Rewriting or reading a whole table takes as long as building an index on it. */
function longScans(hazards: readonly HazardMark[]): readonly LaneMark[] {
  return hazards.flatMap(({ hazard, relation }): readonly LaneMark[] => {
    const isLong = hazard === 'table-rewrite' || hazard === 'constraint-validates';
    return isLong ? [{ lane: 'build', relations: relation === null ? [] : [relation] }] : [];
  });
}

/** A WHERE says nothing of how many rows it takes; a LIMIT does. */
function writeLanes(statement: Statement): readonly LaneMark[] {
  const writes = findWrites(statement);
  if (writes.length === 0 || isBounded(statement)) return [];
  return writes.flatMap(({ kind, target }): readonly LaneMark[] => {
    if (kind !== 'insert' && kind !== 'create') return [{ lane: 'backfill', relations: [target] }];
    // Filling a new table from an old one takes long too; VALUES do not.
    const sources = tablesRead(statement);
    return sources.length === 0 || isEmptyCopy(statement) ? [] : [{ lane: 'backfill', relations: sources }];
  });
}

function isEmptyCopy({ node }: Statement): boolean {
  return asNode(node.into).skipData === true;
}

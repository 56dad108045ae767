import { findWrites, type Write } from './data-writes.ts';
import { type HazardMark, mark, markExclusive } from './hazard-mark.ts';
import { judgeAlterTable } from './hazards-alter-table.ts';
import {
  asNode,
  asNodes,
  asText,
  displayName,
  nameOfWords,
  type ParseNode,
  type RelationName,
  relationOf,
  relationsIn,
  unwrap,
  wordsOf,
} from './parse-tree.ts';
import type { Statement } from './statements.ts';
import { relationOfWords, setsSearchPath } from './touches.ts';

type Judge = (node: ParseNode, statement: Statement) => readonly HazardMark[];

/** Hazards that the parse of one statement shows, wherever in a plan it stands. */
export function judgeStatement(statement: Statement): readonly HazardMark[] {
  const marks = judges[statement.type]?.(statement.node, statement) ?? [];
  return setsSearchPath(statement) ? [...marks, elsewhere] : marks;
}

const elsewhere: HazardMark = {
  hazard: 'leaves-schema',
  subject: 'search_path',
  relation: null,
  message: 'names that follow in this file are looked up elsewhere',
  hint: 'take it out: tenantctl sets the search path for each file',
};

const judges: Readonly<Record<string, Judge>> = {
  AlterTableStmt: judgeAlterTable,
  AlterTableMoveAllStmt: (node) => [
    withoutTable('table-rewrite', `tablespace ${node.orig_tablespacename}`, 'each of its tables is copied whole'),
  ],
  AlterDomainStmt: judgeDomain,
  AlterEnumStmt: (node) =>
    node.oldVal === undefined ? [] : [renamed(nameOfWords(wordsOf(node.typeName)), asText(node.oldVal))],
  RenameStmt: judgeRename,
  AlterObjectSchemaStmt: judgeMove,
  IndexStmt: judgeIndex,
  ReindexStmt: judgeReindex,
  ClusterStmt: (node) => rewritten(relationOf(node.relation), 'CLUSTER'),
  VacuumStmt: judgeVacuum,
  RefreshMatViewStmt: (node) => {
    const hint = 'REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on it';
    return node.concurrent === true ? [] : exclusive(relationOf(node.relation), hint);
  },
  CreateStmt: judgeCreate,
  CreatePolicyStmt: (node) => exclusive(relationOf(node.table)),
  AlterPolicyStmt: (node) => exclusive(relationOf(node.table)),
  RuleStmt: (node) => exclusive(relationOf(node.relation)),
  LockStmt: (node) =>
    node.mode === accessExclusiveLock ? relationsIn(node.relations).map((each) => markExclusive(each)) : [],
  DropStmt: judgeDrop,
  DropOwnedStmt: () => [
    withoutTable('drop-table', 'DROP OWNED', 'everything that the role owns in this database is gone'),
  ],
  TruncateStmt: (node) =>
    relationsIn(node.relations).flatMap((table) => [
      mark(
        'data-deleted',
        table,
        `all its rows are gone${isCascade(node) ? ', and those of tables that refer to it' : ''}`,
      ),
      markExclusive(table),
    ]),
  SelectStmt: (_, statement) => judgeWrites(statement),
  InsertStmt: (_, statement) => judgeWrites(statement),
  UpdateStmt: (_, statement) => judgeWrites(statement),
  DeleteStmt: (_, statement) => judgeWrites(statement),
  MergeStmt: (_, statement) => judgeWrites(statement),
};

/** LockStmt's `mode`. */
const accessExclusiveLock = 8;

function isCascade({ behavior }: ParseNode): boolean {
  return behavior === 'DROP_CASCADE';
}

function withoutTable(hazard: HazardMark['hazard'], subject: string, message: string): HazardMark {
  return { hazard, subject, relation: null, message };
}

function exclusive(relation: RelationName | null, hint?: string): readonly HazardMark[] {
  return relation === null ? [] : [markExclusive(relation, hint)];
}

function rewritten(table: RelationName | null, what: string): readonly HazardMark[] {
  const message = `${what} writes it anew while nobody reads or writes it`;
  const hint = 'VACUUM (without FULL) frees space for new rows, and pg_repack makes a table small without the lock';
  if (table === null) return [{ ...withoutTable('table-rewrite', 'every table', message), hint }];
  return [mark('table-rewrite', table, message, { hint }), markExclusive(table)];
}

function judgeVacuum(node: ParseNode): readonly HazardMark[] {
  if (!isVacuumFull(node)) return [];
  const tables = asNodes(node.rels).map((each) => relationOf(unwrap(each, 'VacuumRelation').relation));
  return (tables.length === 0 ? [null] : tables).flatMap((table) => rewritten(table, 'VACUUM FULL'));
}

/** VACUUM FULL, VACUUM (FULL), VACUUM (FULL true); not VACUUM (FULL off). */
export function isVacuumFull({ options, is_vacuumcmd: isVacuum }: ParseNode): boolean {
  const full = asNodes(options).find((option) => unwrap(option, 'DefElem').defname === 'full');
  if (isVacuum !== true || full === undefined) return false;
  const { arg } = unwrap(full, 'DefElem');
  const word = wordsOf(arg)[0] ?? String(unwrap(arg, 'Integer').ival ?? (asNode(arg).Integer === undefined ? 1 : 0));
  return !['false', 'off', '0', 'no'].includes(word.toLowerCase());
}

function judgeIndex(node: ParseNode): readonly HazardMark[] {
  const table = relationOf(node.relation);
  if (node.concurrent === true || table === null) return [];
  return [mark('index-not-concurrent', table, 'nobody writes it while the index is built')];
}

function judgeReindex(node: ParseNode): readonly HazardMark[] {
  if (isConcurrentReindex(node)) return [];
  const relation = relationOf(node.relation);
  const message = 'nobody writes the table, and who would read the index waits, while it is built anew';
  return relation === null
    ? [withoutTable('index-not-concurrent', `REINDEX ${asText(node.name) ?? ''}`.trim(), message)]
    : [mark('index-not-concurrent', relation, message)];
}

export function isConcurrentReindex({ params }: ParseNode): boolean {
  return asNodes(params).some((each) => {
    const { defname, arg } = unwrap(each, 'DefElem');
    return defname === 'concurrently' && isOn(arg);
  });
}

/** An option of a statement: true when nothing is said of it. */
function isOn(value: unknown): boolean {
  if (value === undefined) return true;
  const word = asText(unwrap(value, 'String').sval);
  return word === null ? unwrap(value, 'Integer').ival === 1 : /^(?:true|on)$/i.test(word);
}

function judgeCreate(node: ParseNode): readonly HazardMark[] {
  const hint = 'CREATE TABLE (LIKE …), then ALTER TABLE … ATTACH PARTITION, which lets others go on';
  return node.partbound === undefined
    ? []
    : relationsIn(node.inhRelations).map((parent) => markExclusive(parent, hint));
}

/** `C` ADD CONSTRAINT, `O` SET NOT NULL. */
function judgeDomain(node: ParseNode): readonly HazardMark[] {
  const domain = nameOfWords(wordsOf(node.typeName));
  const isChecked =
    node.subtype === 'O' || (node.subtype === 'C' && unwrap(node.def, 'Constraint').skip_validation !== true);
  if (domain === null || !isChecked) return [];
  return [mark('constraint-validates', domain, 'all rows of all tables that use the domain are read')];
}

const renamedKinds = new Set([
  'OBJECT_TABLE',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_FOREIGN_TABLE',
  'OBJECT_COLUMN',
  'OBJECT_ATTRIBUTE',
  'OBJECT_TYPE',
  'OBJECT_DOMAIN',
  'OBJECT_FUNCTION',
  'OBJECT_PROCEDURE',
  'OBJECT_SCHEMA',
]);

function renamed(relation: RelationName | null, column: string | null): HazardMark {
  const message = 'the running application knows the old name only';
  if (relation === null) return withoutTable('rename', column ?? '', message);
  return mark('rename', relation, message, column === null ? {} : { column });
}

function judgeRename(node: ParseNode): readonly HazardMark[] {
  const kind = String(node.renameType);
  if (!renamedKinds.has(kind)) return [];
  const relation = relationOf(node.relation) ?? nameOfWords(wordsOf(node.object));
  const isTable =
    relation !== null && (kind === 'OBJECT_TABLE' || kind === 'OBJECT_COLUMN' || kind === 'OBJECT_MATVIEW');
  return [renamed(relation, asText(node.subname)), ...(isTable ? exclusive(relation) : [])];
}

/** That it leaves the schema is seen by the name of the new one. */
function judgeMove(node: ParseNode): readonly HazardMark[] {
  return node.objectType === 'OBJECT_TABLE' ? exclusive(relationOf(node.relation)) : [];
}

function judgeDrop(node: ParseNode): readonly HazardMark[] {
  const kind = String(node.removeType);
  return asNodes(node.objects).flatMap((object) => {
    const relation = relationOfWords(kind, wordsOf(object));
    return relation === null ? [] : judgeDropped(kind, relation, node);
  });
}

function judgeDropped(kind: string, relation: RelationName, node: ParseNode): readonly HazardMark[] {
  const unused = 'what still reads it fails';
  switch (kind) {
    case 'OBJECT_TABLE':
      return [mark('drop-table', relation, `its data are gone, and ${unused}`), markExclusive(relation)];
    case 'OBJECT_FOREIGN_TABLE':
      return [mark('drop-table', relation, unused)];
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
      return [mark('drop-table', relation, unused, { when: 'not-made-anew' })];
    case 'OBJECT_SCHEMA':
      return [withoutTable('drop-table', `schema ${displayName(relation)}`, 'everything in it is gone')];
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN':
      return isCascade(node)
        ? [mark('drop-column', relation, 'CASCADE also drops the columns that have this type')]
        : [];
    case 'OBJECT_INDEX':
      return node.concurrent === true
        ? []
        : exclusive(relation, 'DROP INDEX CONCURRENTLY in a file of its own, marked `-- tenantctl:no-transaction`');
    case 'OBJECT_TRIGGER':
    case 'OBJECT_POLICY':
    case 'OBJECT_RULE':
      return exclusive(relation);
    default:
      return [];
  }
}

function judgeWrites(statement: Statement): readonly HazardMark[] {
  return findWrites(statement).flatMap((write) => judgeWrite(write) ?? []);
}

function judgeWrite({ kind, target, hasCondition, columns }: Write): HazardMark | null {
  if (kind === 'delete')
    return mark('data-deleted', target, hasCondition ? 'rows of it are deleted' : 'all its rows are deleted');
  if (kind !== 'update' || hasCondition) return null;
  return { ...mark('data-deleted', target, 'what stood there is overwritten in every row'), columns };
}

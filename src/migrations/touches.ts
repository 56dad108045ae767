import {
  asNode,
  asNodes,
  asTexts,
  nameOfWords,
  type ParseNode,
  type RelationName,
  relationOf,
  unwrap,
  walk,
  wordsOf,
} from './parse-tree.ts';
import type { Statement } from './statements.ts';

/** A schema, or something in one, that a statement names. */
export interface Touch {
  /** Null: the search path finds it. */
  readonly schema: string | null;
  /** Null: the schema itself. */
  readonly name: string | null;
  /** `changes`: makes it, or takes a lock other than a reader's. */
  readonly use: 'reads' | 'changes';
}

/** Fields that hold what a statement works on; everything else is read. */
const changedFields = new Set([
  'relation',
  'relations',
  'view',
  'sequence',
  'pktable',
  'constrrel',
  'rel',
  'inhRelations',
  'table',
  'typevar',
  'objects',
]);
/** Nodes whose `relation` is only read. */
const readers = new Set(['TableLikeClause', 'RangeTableSample']);
/** What is made without a schema is made in the first one of the search path, whatever the others have. */
const makers = new Set(['CreateStmt relation', 'CreateForeignTableStmt relation', 'CreateSeqStmt sequence']);
const madeFields = new Set(['view', 'rel', 'typevar']);

/**
 * What a statement names: everything that has a schema written with it, and of the rest those relations that it changes
 * (they may live in a shared schema of the search path). Function bodies are not looked into.
 */
export function touchesOf(statement: Statement): readonly Touch[] {
  const touches = new Map<string, Touch>();
  const add = (touch: Touch) => {
    if (touch.schema === null && touch.use === 'reads') return;
    const key = JSON.stringify([touch.schema, touch.name]);
    if (touches.get(key)?.use !== 'changes') touches.set(key, touch);
  };
  walk({ [statement.type]: statement.node }, (node, key, type) => {
    const relation = relationOf(node);
    if (relation === null || isTemporary(node)) return;
    const isMade = makers.has(`${type} ${key}`) || madeFields.has(key);
    if (relation.schema === null && isMade) return;
    add({ ...relation, use: isChanged(statement, key, type) ? 'changes' : 'reads' });
  });
  for (const touch of [...touchedObjects(statement), ...touchedSchemas(statement)]) add(touch);
  return [...touches.values()];
}

function isTemporary({ relpersistence, schemaname }: ParseNode): boolean {
  return relpersistence === 't' || schemaname === 'pg_temp';
}

function isChanged(statement: Statement, key: string, type: string): boolean {
  // SELECT … FOR UPDATE locks what it reads.
  if (statement.type === 'SelectStmt' && statement.node.lockingClause !== undefined) return true;
  if (readers.has(type) || (type === 'CopyStmt' && statement.node.is_from !== true)) return false;
  return changedFields.has(key) || (key === 'name' && type === 'PartitionCmd');
}

const relationKinds = new Set([
  'OBJECT_TABLE',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_INDEX',
  'OBJECT_SEQUENCE',
  'OBJECT_FOREIGN_TABLE',
]);
/** Named after their table: `schema.table.name`. */
const partsOfTables = new Set([
  'OBJECT_TRIGGER',
  'OBJECT_POLICY',
  'OBJECT_RULE',
  'OBJECT_TABCONSTRAINT',
  'OBJECT_COLUMN',
]);

/** The relation that an object's words name, or the one that it is a part of. */
export function relationOfWords(kind: string, words: readonly string[]): RelationName | null {
  return nameOfWords(partsOfTables.has(kind) ? words.slice(0, -1) : words);
}

/** Where statements name functions, types and the like: what a parse tree does not hold as a relation. */
const objectFields: Readonly<Record<string, string>> = {
  CreateFunctionStmt: 'funcname',
  CreateEnumStmt: 'typeName',
  AlterEnumStmt: 'typeName',
  CreateRangeStmt: 'typeName',
  CreateDomainStmt: 'domainname',
  AlterDomainStmt: 'typeName',
  DefineStmt: 'defnames',
  CreateStatsStmt: 'defnames',
  AlterOwnerStmt: 'object',
  RenameStmt: 'object',
  AlterObjectSchemaStmt: 'object',
  CommentStmt: 'object',
  SecLabelStmt: 'object',
};

function touchedObjects({ type, node }: Statement): readonly Touch[] {
  const kind = String(node.removeType ?? node.objtype ?? node.objectType ?? node.renameType ?? '');
  const objects = type === 'DropStmt' ? asNodes(node.objects) : [node[objectFields[type] ?? '']];
  const words = type === 'AlterFunctionStmt' ? [wordsOf(asNode(node.func).objname)] : objects.map(wordsOf);
  const hasRelations = type === 'DropStmt' && (relationKinds.has(kind) || partsOfTables.has(kind));
  return words.flatMap((each): readonly Touch[] => {
    const name = kind === 'OBJECT_SCHEMA' ? null : relationOfWords(kind, each);
    return name === null || (name.schema === null && !hasRelations) ? [] : [{ ...name, use: 'changes' }];
  });
}

function touchedSchemas(statement: Statement): readonly Touch[] {
  return schemasOf(statement).map((schema) => ({ schema, name: null, use: 'changes' }));
}

function schemasOf({ type, node }: Statement): readonly string[] {
  switch (type) {
    case 'CreateSchemaStmt':
      return asTexts(node.schemaname);
    case 'AlterObjectSchemaStmt':
      return asTexts(node.newschema);
    case 'ImportForeignSchemaStmt':
      return asTexts(node.local_schema);
    case 'ReindexStmt':
      return node.kind === 'REINDEX_OBJECT_SCHEMA' ? asTexts(node.name) : [];
    case 'RenameStmt':
      return node.renameType === 'OBJECT_SCHEMA' ? asTexts(node.subname) : [];
    case 'DropStmt':
      return node.removeType === 'OBJECT_SCHEMA' ? asNodes(node.objects).flatMap(wordsOf) : [];
    case 'GrantStmt': {
      const isOfSchemas = node.targtype === 'ACL_TARGET_ALL_IN_SCHEMA' || node.objtype === 'OBJECT_SCHEMA';
      return isOfSchemas ? asNodes(node.objects).flatMap(wordsOf) : [];
    }
    default:
      return [];
  }
}

/** Does it send the names that follow in the file elsewhere? */
export function setsSearchPath({ type, node }: Statement): boolean {
  if (type === 'VariableSetStmt') return node.name === 'search_path';
  if (type !== 'SelectStmt') return false;
  let isFound = false;
  walk(node.targetList, ({ funcname, args }) => {
    if (wordsOf(funcname).at(-1) !== 'set_config') return;
    isFound ||= asNode(unwrap(asNodes(args)[0], 'A_Const').sval).sval === 'search_path';
  });
  return isFound;
}

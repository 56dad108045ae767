import { asNode, asNodes, asText, type RelationName, relationOf, unwrap } from './parse-tree.ts';
import type { Statement } from './statements.ts';

/** A relation, or a column of one, that a statement makes. */
export interface Creation {
  readonly relation: RelationName;
  readonly column?: string;
  /** It counts only when this one was made before: a new table gets another name. */
  readonly renamedFrom?: RelationName;
}

/**
 * What a statement makes. IF NOT EXISTS counts as making it: the parse cannot know, and it is mostly true. That a renamed
 * table was new makes it new under its other name.
 */
export function creationsOf({ type, node }: Statement): readonly Creation[] {
  const made = (value: unknown): readonly Creation[] => {
    const relation = relationOf(value);
    return relation === null ? [] : [{ relation }];
  };
  switch (type) {
    case 'CreateStmt':
      return made(node.relation);
    case 'CreateForeignTableStmt':
      return made(asNode(node.base ?? node.baseStmt).relation);
    case 'CreateTableAsStmt':
      return made(asNode(node.into).rel);
    case 'SelectStmt':
      return made(asNode(node.intoClause).rel);
    case 'ViewStmt':
      return made(node.view);
    case 'CreateSeqStmt':
      return made(node.sequence);
    case 'IndexStmt': {
      const name = asText(node.idxname);
      // An index lives in the schema of its table.
      return name === null ? [] : [{ relation: { schema: relationOf(node.relation)?.schema ?? null, name } }];
    }
    case 'AlterTableStmt':
      return addedColumns(relationOf(node.relation), node.cmds);
    case 'RenameStmt':
      return renamed(relationOf(node.relation), node);
    default:
      return [];
  }
}

function addedColumns(relation: RelationName | null, commands: unknown): readonly Creation[] {
  if (relation === null) return [];
  return asNodes(commands).flatMap((each) => {
    const { subtype, def } = unwrap(each, 'AlterTableCmd');
    const column = asText(unwrap(def, 'ColumnDef').colname);
    return subtype === 'AT_AddColumn' && column !== null ? [{ relation, column }] : [];
  });
}

function renamed(from: RelationName | null, { newname, subname }: Statement['node']): readonly Creation[] {
  const name = asText(newname);
  if (from === null || name === null || subname !== undefined) return [];
  return [{ relation: { schema: from.schema, name }, renamedFrom: from }];
}

/** Which schemas are a tenant's own: names in them are the same with and without the schema. */
export type IsOwn = (schema: string | null) => boolean;

/** What a plan has made so far: nobody uses it yet, so that nothing done to it is a hazard. */
export class CreatedObjects {
  readonly #isOwn: IsOwn;
  readonly #keys = new Set<string>();

  constructor(isOwn: IsOwn) {
    this.#isOwn = isOwn;
  }

  add({ relation, column, renamedFrom }: Creation): void {
    if (renamedFrom === undefined || this.has(renamedFrom)) this.#keys.add(this.#key(relation, column));
  }

  has(relation: RelationName): boolean {
    return this.#keys.has(this.#key(relation));
  }

  hasColumns(relation: RelationName, columns: readonly string[]): boolean {
    return columns.length > 0 && columns.every((column) => this.#keys.has(this.#key(relation, column)));
  }

  #key({ schema, name }: RelationName, column?: string): string {
    return JSON.stringify([this.#isOwn(schema) ? null : schema, name, column ?? null]);
  }
}

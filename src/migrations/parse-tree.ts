import { quoteIdentifier } from '../postgres/identifiers.ts';

/** The fields of one node of libpg-query's parse tree. */
export type ParseNode = Readonly<Record<string, unknown>>;

/** A relation as a statement names it; schema null: the search path finds it. */
export interface RelationName {
  readonly schema: string | null;
  readonly name: string;
}

export function asNode(value: unknown): ParseNode {
  return typeof value === 'object' && value !== null ? (value as ParseNode) : {};
}

export function asNodes(value: unknown): readonly ParseNode[] {
  return Array.isArray(value) ? value.map(asNode) : [];
}

export function asText(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** None or one, for lists. */
export function asTexts(value: unknown): readonly string[] {
  return typeof value === 'string' ? [value] : [];
}

/** The fields of a node that is wrapped in its type: those of `{ ColumnDef: … }`, or none when it is of another type. */
export function unwrap(value: unknown, type: string): ParseNode {
  return asNode(asNode(value)[type]);
}

/** A RangeVar, wrapped or not. */
export function relationOf(value: unknown): RelationName | null {
  const node = asNode(value);
  const { relname, schemaname } = 'RangeVar' in node ? asNode(node.RangeVar) : node;
  return typeof relname === 'string' ? { schema: asText(schemaname), name: relname } : null;
}

export function relationsIn(value: unknown): readonly RelationName[] {
  return asNodes(value).flatMap((node) => relationOf(node) ?? []);
}

/** The words of a dotted name: a list of strings, a type's or a function's name, or one string. */
export function wordsOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item) => asText(unwrap(item, 'String').sval) ?? []);
  const node = asNode(value);
  const one = asText(unwrap(node, 'String').sval);
  if (one !== null) return [one];
  return wordsOf(
    unwrap(node, 'List').items ?? unwrap(node, 'TypeName').names ?? unwrap(node, 'ObjectWithArgs').objname ?? [],
  );
}

/** `schema.name` of a list of words; what stands before the schema (the database) is left out. */
export function nameOfWords(words: readonly string[]): RelationName | null {
  const name = words.at(-1);
  return name === undefined ? null : { schema: words.at(-2) ?? null, name };
}

/** Sees one node; `key` is the field that holds it (or the list with it), `type` its nearest wrapper: `SelectStmt`. */
export type Visit = (node: ParseNode, key: string, type: string) => void;

/** Visits every node below, in order. Written for speed: a file may hold a hundred thousand statements. */
export function walk(value: unknown, visit: Visit, key = '', type = ''): void {
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    for (const item of value) walk(item, visit, key, type);
    return;
  }
  const node = value as ParseNode;
  const wrapped = wrapperOf(node);
  if (wrapped !== null) {
    // A relation is of the statement that names it.
    walk(node[wrapped], visit, key, wrapped === 'RangeVar' ? type : wrapped);
    return;
  }
  visit(node, key, type);
  for (const field in node) walk(node[field], visit, field, type);
}

/** Types are written with a capital, fields are not. */
function wrapperOf(node: ParseNode): string | null {
  for (const field in node) return field[0]! >= 'A' && field[0]! <= 'Z' ? field : null;
  return null;
}

/** For people: quoted only where it must be. */
export function displayName({ schema, name }: RelationName, column?: string): string {
  return [schema, name, column]
    .filter((word) => typeof word === 'string')
    .map((word) => (/^[a-z_][a-z0-9_$]*$/.test(word) ? word : quoteIdentifier(word)))
    .join('.');
}

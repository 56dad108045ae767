import type { DriftClass } from '../fact.ts';
import { inLiterals } from './words.sql.ts';

/** A definition as PostgreSQL prints it: the tenant's own names are still in its literals. */
export interface Printed {
  readonly printed: string;
}

/** SQL text, and how much a difference matters; text alone: as much as the object itself. */
export type Attribute = string | Printed | readonly [DriftClass, string];

/**
 * One kind of fact in SQL, over the common table expressions of its group: where its rows come from, what they are
 * called, and what is said of each. Names are SQL, quoted where they must be, so that no two objects share one.
 */
export interface FactKind {
  readonly kind: string;
  /** How much it matters that one is missing or extra. */
  readonly class: DriftClass;
  readonly from: string;
  readonly name: string;
  /** The relation it belongs to. */
  readonly table: string;
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** Kinds that are read by one statement, and what that statement reads first. */
export interface FactGroup {
  readonly name: string;
  /** Common table expressions that begin with `obj`. */
  readonly prelude: string;
  readonly kinds: readonly FactKind[];
}

export function printed(text: string): Printed {
  return { printed: text };
}

export function attributeClass({ class: own }: FactKind, attribute: Attribute): DriftClass {
  return isPlain(attribute) && typeof attribute !== 'string' ? attribute[0] : own;
}

function isPlain(attribute: Attribute): attribute is Exclude<Attribute, Printed> {
  return typeof attribute === 'string' || !('printed' in attribute);
}

function plainSql(attribute: Exclude<Attribute, Printed>): string {
  return typeof attribute === 'string' ? attribute : attribute[1];
}

/**
 * The sums of a group, apart for what is cosmetic. A sum of hashes needs neither a sort nor one large text. A record
 * keeps NULL apart from the empty text, as jsonb does, at a third of its price. Printed definitions stand beside the
 * record: what takes the tenant's names out of them is a long text, and is in the statement once and not for each kind.
 * When all is summed up the path goes back to what it was when the statement was planned, or the plan would not be used
 * again.
 */
export function hashText({ prelude, kinds }: FactGroup): string {
  const width = Math.max(...kinds.map((fact) => printedOf(fact).length));
  const slots = Array.from({ length: width }, (_, slot) => `p${slot}`);
  const branches = kinds.map((fact) => {
    const { kind, from, name, table, attributes } = fact;
    const parts = [literal(kind), name, table, ...Object.values(attributes).filter(isPlain).map(plainSql)];
    const texts = printedOf(fact);
    const columns = slots.map((slot, index) => `, ${texts[index] ?? 'NULL::text'} AS ${slot}`);
    return `SELECT ${fact.class === 'cosmetic'} AS cosmetic, ROW(${parts.join(', ')})::text AS fact${columns.join('')} FROM ${from}`;
  });
  const sum = (seed: string, filter: string) => `coalesce(pg_catalog.sum(
    pg_catalog.hashtextextended(fact COLLATE "C", ${seed})) FILTER (WHERE ${filter}), 0)::text`;
  // The text of a record tells where it ends, so that two in a row are as good as one.
  const definitions = slots.map((slot) => inLiterals(`f.${slot}`)).join(', ');
  const whole = `f.fact || CASE WHEN ${slots.map((slot) => `f.${slot} IS NULL`).join(' AND ') || 'true'} THEN ''
    ELSE ROW(${definitions})::text END`;
  return `WITH ${prelude}, facts AS (${branches.join('\nUNION ALL ')}),
whole AS (SELECT f.cosmetic, ${whole} AS fact FROM facts f OFFSET 0)
SELECT pg_catalog.count(*)::int AS count,
       ARRAY[${sum('0', 'NOT cosmetic')}, ${sum(secondSeed, 'NOT cosmetic')}] AS structural,
       ARRAY[${sum('0', 'cosmetic')}, ${sum(secondSeed, 'cosmetic')}] AS cosmetic,
       ${resetPath}
  FROM whole`;
}

function printedOf({ attributes }: FactKind): readonly string[] {
  return Object.values(attributes).flatMap((attribute) => (isPlain(attribute) ? [] : [attribute.printed]));
}

/** In a row that is there when all facts are known, and not before. */
const resetPath = `pg_catalog.set_config('search_path', 'pg_catalog', true) AS path`;

/** Any number will do: one sum of 64 bits would not be enough to tell many facts of many tenants apart. */
const secondSeed = '7046029254386353131';

/** The very same facts in full, as one list. */
export function rowsText({ prelude, kinds }: FactGroup): string {
  const branches = kinds.map(({ kind, from, name, table, attributes }) => {
    const pairs = Object.entries(attributes).map(([key, value]) => {
      return `${literal(key)}, ${isPlain(value) ? plainSql(value) : inLiterals(value.printed)}`;
    });
    return `SELECT ${literal(kind)} AS kind, ${name} AS name, ${table} AS "table",
      pg_catalog.json_build_object(${pairs.join(', ')}) AS attributes FROM ${from}`;
  });
  return `WITH ${prelude}, facts AS (${branches.join('\nUNION ALL ')})
SELECT coalesce(pg_catalog.json_agg(f), '[]') AS facts, ${resetPath} FROM facts f`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

import type { FactKind } from './fact-kind.ts';
import { relationLabel } from './relation-rows.sql.ts';
import { exploded } from './words.sql.ts';

/** Privileges as SQL, each on one kind of object: a list is NULL where nothing was ever granted or revoked. */
interface Grantable {
  readonly from: string;
  /** `table users`. */
  readonly label: string;
  readonly table: string;
  readonly list: string;
  readonly owner: string;
  /** The letter by which PostgreSQL knows what is built in for such an object. */
  readonly letter: string;
}

/** What is built in for the object of `letter`, as `exploded` lists it. */
const builtIn = (owner: string, letter: string) =>
  `(SELECT b.grants FROM built_in b WHERE b.owner = ${owner} AND b.letter = ${letter})`;

const grantables: readonly Grantable[] = [
  {
    from: `rel r WHERE r.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')`,
    label: relationLabel,
    table: `CASE WHEN r.relkind <> 'S' THEN r.name END`,
    list: 'r.relacl',
    owner: 'r.relowner',
    letter: `CASE WHEN r.relkind = 'S' THEN 's' ELSE 'r' END::"char"`,
  },
  {
    // A column adds to its table; without a list of its own it adds nothing.
    from: `att c WHERE c.attacl <> '{}'`,
    label: `'column ' || c.name`,
    table: 'c.table_name',
    list: 'c.attacl',
    owner: 'c.relowner',
    letter: 'NULL',
  },
  {
    // A table's row type can be granted too, and hardly ever is.
    from: `rel r JOIN pg_catalog.pg_type t ON t.oid = r.reltype
      WHERE r.relkind = 'c' OR t.typacl IS NOT NULL AND ${exploded('t.typacl', 't.typowner')} <> ${builtIn('t.typowner', "'T'")}`,
    label: `CASE r.relkind WHEN 'c' THEN 'type ' ELSE 'row type ' END || r.name`,
    table: 'r.name',
    list: 't.typacl',
    owner: 't.typowner',
    letter: `'T'`,
  },
  {
    from: 'fn p',
    label: `CASE p.prokind WHEN 'p' THEN 'procedure ' WHEN 'a' THEN 'aggregate ' ELSE 'function ' END || p.name`,
    table: 'NULL',
    list: 'p.proacl',
    owner: 'p.proowner',
    letter: `'f'`,
  },
  { from: 'typ t', label: `'type ' || t.name`, table: 'NULL', list: 't.typacl', owner: 't.typowner', letter: `'T'` },
];

const granted = grantables.map(({ from, label, table, list, owner, letter }) => {
  return `SELECT ${label} AS label, ${table} AS table_name, ${list} AS list, ${owner} AS owner, ${letter} AS letter FROM ${from}`;
});

/** `granted`: all that privileges can be on, in one place, so that to list them is in the statement once. */
export const grantedRows = `built_in AS MATERIALIZED (
  SELECT o.owner, k.letter, ${exploded('pg_catalog.acldefault(k.letter, o.owner)', 'o.owner')} AS grants
    FROM (SELECT r.relowner AS owner FROM rel r UNION SELECT p.proowner FROM fn p UNION SELECT t.typowner FROM typ t) o,
         pg_catalog.unnest('{r,s,f,T}'::"char"[]) k(letter)
), granted AS MATERIALIZED (${granted.join('\nUNION ALL ')})`;

/** No list is the built-in one, which is the same for all objects of an owner. */
export const privileges: FactKind = {
  kind: 'privileges',
  class: 'security',
  from: 'granted p',
  name: 'p.label',
  table: 'p.table_name',
  attributes: {
    grants: `CASE WHEN p.list IS NULL THEN ${builtIn('p.owner', 'p.letter')} ELSE ${exploded('p.list', 'p.owner')} END`,
  },
};

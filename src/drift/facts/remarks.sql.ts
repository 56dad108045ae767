import type { FactKind } from './fact-kind.ts';
import { relationLabel } from './relation-rows.sql.ts';
import { catalogue, inBody, quoted } from './words.sql.ts';

/** Objects by catalogue, as SQL: `class`, `oid`, `label`, `table`. */
interface Labelled {
  readonly catalogue: string;
  readonly from: string;
  readonly oid: string;
  readonly label: string;
  readonly table: string;
}

/** Comments and security labels on these objects. */
export function remarksOn(labelled: readonly Labelled[]) {
  const selects = labelled.map(
    ({ catalogue: owner, from, oid, label, table }) =>
      `SELECT ${catalogue(owner)}::oid AS class, ${oid} AS oid, ${label} AS label, ${table} AS table_name FROM ${from}`,
  );
  return { rows: `remark AS MATERIALIZED (${selects.join('\nUNION ALL ')})`, comment, securityLabel };
}

/** A column's remark hangs on its relation, with its number. */
const columnOf = (
  alias: string,
) => `CASE WHEN ${alias}.objsubid = 0 THEN m.label ELSE 'column ' || m.table_name || '.' || (
  SELECT ${quoted('a.attname')} FROM pg_catalog.pg_attribute a WHERE a.attrelid = m.oid AND a.attnum = ${alias}.objsubid) END`;

const comment: FactKind = {
  kind: 'comment',
  class: 'cosmetic',
  // Where nobody has said a word of anything, nothing is looked up: objects of users have numbers from 16384 on, and
  // an extension brings a comment of its own.
  from: `remark m JOIN pg_catalog.pg_description d ON d.objoid = m.oid AND d.classoid = m.class
      WHERE EXISTS (SELECT FROM pg_catalog.pg_description e
                     WHERE e.objoid >= 16384 AND e.classoid NOT IN (${catalogue('pg_extension')}, ${catalogue('pg_namespace')}))`,
  name: columnOf('d'),
  table: 'm.table_name',
  attributes: { text: inBody('d.description') },
};

const securityLabel: FactKind = {
  kind: 'security label',
  class: 'security',
  // Few servers have a provider: where there is no label at all, nothing is looked up.
  from: `remark m JOIN pg_catalog.pg_seclabel l ON l.objoid = m.oid AND l.classoid = m.class
      WHERE EXISTS (SELECT FROM pg_catalog.pg_seclabel)`,
  name: `${quoted('l.provider')} || ' on ' || ${columnOf('l')}`,
  table: 'm.table_name',
  attributes: { label: inBody('l.label') },
};

const onRelation = (owner: string, alias: string, column: string, word: string, name: string): Labelled => ({
  catalogue: owner,
  from: `rel r JOIN pg_catalog.${owner} ${alias} ON ${alias}.${column} = r.oid`,
  oid: `${alias}.oid`,
  label: `'${word} ' || ${quoted(`${alias}.${name}`)} || ' on ' || r.name`,
  table: 'r.name',
});

export const relationLabels: readonly Labelled[] = [
  {
    catalogue: 'pg_class',
    from: `rel r WHERE r.relkind <> 'c'`,
    oid: 'r.oid',
    label: relationLabel,
    table: `CASE WHEN r.relkind <> 'S' THEN r.name END`,
  },
  // A comment on a composite type is the type's, one on its attribute the relation's.
  { catalogue: 'pg_class', from: `rel r WHERE r.relkind = 'c'`, oid: 'r.oid', label: 'NULL', table: 'r.name' },
  {
    catalogue: 'pg_type',
    from: `rel r WHERE r.relkind = 'c'`,
    oid: 'r.reltype',
    label: `'type ' || r.name`,
    table: 'r.name',
  },
  {
    catalogue: 'pg_class',
    from: `rel r JOIN pg_catalog.pg_index x ON x.indrelid = r.oid JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid WHERE r.relhasindex`,
    oid: 'i.oid',
    label: `'index ' || ${quoted('i.relname')}`,
    table: 'r.name',
  },
  {
    catalogue: 'pg_constraint',
    from: 'con k',
    oid: 'k.oid',
    label: `'constraint ' || ${quoted('k.conname')} || ' on ' || k.table_name`,
    table: 'k.table_name',
  },
  {
    catalogue: 'pg_constraint',
    from: `typ t JOIN pg_catalog.pg_constraint k ON k.contypid = t.oid WHERE t.typtype = 'd'`,
    oid: 'k.oid',
    label: `'constraint ' || ${quoted('k.conname')} || ' on domain ' || t.name`,
    table: 'NULL',
  },
  onRelation('pg_trigger', 't', 'tgrelid', 'trigger', 'tgname'),
  onRelation('pg_rewrite', 'w', 'ev_class', 'rule', 'rulename'),
  onRelation('pg_policy', 'p', 'polrelid', 'policy', 'polname'),
  {
    catalogue: 'pg_statistic_ext',
    from: `obj o JOIN pg_catalog.pg_statistic_ext x ON x.oid = o.objid AND o.classid = ${catalogue('pg_statistic_ext')}`,
    oid: 'x.oid',
    label: `'statistics ' || ${quoted('x.stxname')}`,
    table: `x.stxrelid::pg_catalog.regclass::text`,
  },
];

/** The same for what stands for itself in the schema. */
export function labelsOf(
  objects: readonly { readonly catalogue: string; readonly label: string; readonly where?: string }[],
): readonly Labelled[] {
  return objects.map(({ catalogue: owner, label, where = 'true' }) => ({
    catalogue: owner,
    from: `obj o JOIN pg_catalog.${owner} x ON x.oid = o.objid AND o.classid = ${catalogue(owner)} WHERE ${where}`,
    oid: 'x.oid',
    label,
    table: 'NULL',
  }));
}

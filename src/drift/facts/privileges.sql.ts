import type { FactKind } from './fact-kind.ts';
import { relationLabel } from './relation-rows.sql.ts';
import { exploded, grants } from './words.sql.ts';

/** What every kind of privilege is called; `label` is SQL for `table users`. */
export function privileges(options: {
  readonly from: string;
  readonly label: string;
  readonly table: string;
  readonly grants: string;
}): FactKind {
  const { from, label, table } = options;
  return { kind: 'privileges', class: 'security', from, name: label, table, attributes: { grants: options.grants } };
}

export const relationPrivileges: readonly FactKind[] = [
  privileges({
    from: `rel r WHERE r.relkind IN ('r', 'p', 'v', 'm', 'f')`,
    label: relationLabel,
    table: 'r.name',
    grants: grants('r.relacl', 'relation', 'r.relowner'),
  }),
  privileges({
    from: `rel r WHERE r.relkind = 'S'`,
    label: relationLabel,
    table: 'NULL',
    grants: grants('r.relacl', 'sequence', 'r.relowner'),
  }),
  privileges({
    // A column adds to its table; without a list of its own it adds nothing.
    from: `col c WHERE c.attacl <> '{}'`,
    label: `'column ' || c.name`,
    table: 'c.table_name',
    grants: exploded('c.attacl', 'c.relowner'),
  }),
  privileges({
    // A table's row type can be granted too, and hardly ever is.
    from: `rel r JOIN pg_catalog.pg_type t ON t.oid = r.reltype
      WHERE r.relkind = 'c' OR t.typacl IS NOT NULL AND ${exploded('t.typacl', 't.typowner')} <> ${grants('NULL', 'type', 't.typowner')}`,
    label: `CASE r.relkind WHEN 'c' THEN 'type ' ELSE 'row type ' END || r.name`,
    table: 'r.name',
    grants: grants('t.typacl', 'type', 't.typowner'),
  }),
];

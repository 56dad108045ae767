import { type FactKind, printed } from './fact-kind.ts';
import { inLiterals, options, quoted, tablespaceName } from './words.sql.ts';

/**
 * What PostgreSQL prints after a definition. It is told apart by the flags themselves, so that a constraint which was
 * not validated is still known for what it is.
 */
function definition(major: number): string {
  const notValid =
    major >= 18
      ? `CASE WHEN NOT k.conenforced THEN ' NOT ENFORCED' WHEN NOT k.convalidated THEN ' NOT VALID' ELSE '' END`
      : `CASE WHEN NOT k.convalidated THEN ' NOT VALID' ELSE '' END`;
  const isMarked = `k.condeferrable OR NOT k.convalidated`;
  return inLiterals(`(SELECT CASE WHEN ${isMarked}
      THEN pg_catalog.left(p.d, -pg_catalog.length(CASE WHEN k.condeferrable THEN ' DEFERRABLE' ELSE '' END
             || CASE WHEN k.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END || ${notValid}))
      ELSE p.d END FROM (SELECT pg_catalog.pg_get_constraintdef(k.oid) AS d OFFSET 0) p)`);
}

/** The constraints of tables once, printed: both kinds below read them. Triggers say themselves what is deferred. */
export function constraintRows(major: number): string {
  // From 18 on NOT NULL is a constraint as well, and a column says so already; here is only what it does not say.
  const isOwnFact = major >= 18 ? `k.contype <> 'n' OR NOT k.convalidated OR k.connoinherit` : 'true';
  const isPrinted = major >= 18 ? `${isOwnFact} OR k.contype = 'n'` : 'true';
  return `con AS MATERIALIZED (
  SELECT r.name AS table_name, k.*, (${isOwnFact}) AS is_own_fact, ${definition(major)} AS definition
    FROM rel r JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid
   WHERE r.relkind IN ('r', 'p', 'f') AND k.contype <> 't' AND (${isPrinted})
)`;
}

const name = `k.table_name || ': ' || k.definition`;

function constraint(major: number): FactKind {
  return {
    kind: 'constraint',
    class: 'structural',
    from: `con k LEFT JOIN pg_catalog.pg_index x ON x.indexrelid = k.conindid AND k.contype IN ('p', 'u', 'x')
      LEFT JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid WHERE k.is_own_fact`,
    name,
    table: 'k.table_name',
    attributes: {
      definition: 'k.definition',
      validated: ['broken', 'k.convalidated'],
      deferrable: 'k.condeferrable',
      deferred: 'k.condeferred',
      ...(major >= 18 ? { enforced: ['broken', 'k.conenforced'] as const } : {}),
      // Triggers do the work of a foreign key, and of what is deferrable: DISABLE TRIGGER ALL switches it off.
      enabled: [
        'security',
        `k.contype <> 'f' AND NOT k.condeferrable OR NOT EXISTS (
          SELECT FROM pg_catalog.pg_trigger t WHERE t.tgconstraint = k.oid AND t.tgenabled <> 'O')`,
      ],
      local: 'k.conislocal',
      inherited: 'k.coninhcount::int',
      'index valid': ['broken', `x.indisvalid OR i.relkind = 'I'`],
      'index ready': ['broken', 'x.indisready AND x.indislive'],
      clustered: 'x.indisclustered',
      'replica identity': 'x.indisreplident',
      options: options('i.reloptions'),
      tablespace: tablespaceName('i.reltablespace'),
    },
  };
}

/** PostgreSQL makes up names by what was there that day, so that a constraint is known by what it says. */
const constraintName: FactKind = {
  kind: 'constraint name',
  class: 'cosmetic',
  from: 'con k',
  name,
  table: 'k.table_name',
  attributes: { name: 'k.conname::text' },
};

/** An index of its own is known by its name, which somebody gave it. */
const index: FactKind = {
  kind: 'index',
  class: 'structural',
  // A foreign key's conindid is the index that it refers to, so the kinds that own theirs are named.
  from: `rel r JOIN pg_catalog.pg_index x ON x.indrelid = r.oid JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
    WHERE r.relhasindex AND r.relkind IN ('r', 'p', 'm')
      AND x.indexrelid NOT IN (SELECT k.conindid FROM con k WHERE k.contype IN ('p', 'u', 'x'))`,
  name: quoted('i.relname'),
  table: 'r.name',
  attributes: {
    definition: printed('pg_catalog.pg_get_indexdef(x.indexrelid, 0, true)'),
    // A partitioned table's own index has no entries that could be wrong.
    valid: ['broken', `x.indisvalid OR i.relkind = 'I'`],
    ready: ['broken', 'x.indisready AND x.indislive'],
    clustered: 'x.indisclustered',
    'replica identity': 'x.indisreplident',
    'attached to': `CASE WHEN i.relispartition THEN (
      SELECT p.inhparent::pg_catalog.regclass::text FROM pg_catalog.pg_inherits p WHERE p.inhrelid = i.oid) END`,
    'statistics targets': `CASE WHEN x.indexprs IS NOT NULL THEN (
      SELECT pg_catalog.array_agg(a.attnum::text || ': ' || a.attstattarget::text ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.oid AND a.attstattarget >= 0) END`,
    tablespace: tablespaceName('i.reltablespace'),
  },
};

export function constraintKinds(major: number): readonly FactKind[] {
  return [constraint(major), constraintName, index];
}

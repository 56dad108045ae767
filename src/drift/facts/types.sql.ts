import { type Attribute, type FactKind, printed } from './fact-kind.ts';
import { catalogue, inLiterals, named, quoted, roleName, typeName } from './words.sql.ts';

/** Types that stand for themselves; composite ones are relations. */
export const typeRows = `typ AS MATERIALIZED (
  SELECT t.*, ${quoted('t.typname')} AS name
    FROM obj o JOIN pg_catalog.pg_type t ON t.oid = o.objid AND o.classid = ${catalogue('pg_type')}
   WHERE t.typtype IN ('e', 'd', 'r')
), dom AS MATERIALIZED (
  SELECT t.name AS type_name, k.*, ${inLiterals(`(SELECT CASE WHEN k.convalidated THEN d.d
           ELSE pg_catalog.left(d.d, -pg_catalog.length(' NOT VALID')) END
      FROM (SELECT pg_catalog.pg_get_constraintdef(k.oid) AS d OFFSET 0) d)`)} AS definition
    FROM typ t JOIN pg_catalog.pg_constraint k ON k.contypid = t.oid WHERE t.typtype = 'd' AND k.contype = 'c'
)`;

const owner: Attribute = ['security', roleName('t.typowner')];

const enumeration: FactKind = {
  kind: 'enum',
  class: 'structural',
  from: `typ t WHERE t.typtype = 'e'`,
  name: 't.name',
  table: 'NULL',
  attributes: {
    owner,
    labels: `(SELECT pg_catalog.array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid)`,
  },
};

const domain: FactKind = {
  kind: 'domain',
  class: 'structural',
  from: `typ t JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype WHERE t.typtype = 'd'`,
  name: 't.name',
  table: 'NULL',
  attributes: {
    owner,
    type: typeName('t.typbasetype', 't.typtypmod'),
    collation: `CASE WHEN t.typcollation <> b.typcollation THEN ${named('regcollation', 't.typcollation')} END`,
    'not null': 't.typnotnull',
    default: printed('pg_catalog.pg_get_expr(t.typdefaultbin, 0)'),
  },
};

const domainConstraint: FactKind = {
  kind: 'domain constraint',
  class: 'structural',
  from: 'dom k',
  name: `k.type_name || ': ' || k.definition`,
  table: 'NULL',
  attributes: { definition: 'k.definition', validated: ['broken', 'k.convalidated'] },
};

const domainConstraintName: FactKind = {
  kind: 'constraint name',
  class: 'cosmetic',
  from: 'dom k',
  name: `k.type_name || ': ' || k.definition`,
  table: 'NULL',
  attributes: { name: 'k.conname::text' },
};

const range: FactKind = {
  kind: 'range type',
  class: 'structural',
  from: `typ t JOIN pg_catalog.pg_range g ON g.rngtypid = t.oid WHERE t.typtype = 'r'`,
  name: 't.name',
  table: 'NULL',
  attributes: {
    owner,
    subtype: typeName('g.rngsubtype'),
    'multirange type': `CASE WHEN g.rngmultitypid <> 0 THEN ${typeName('g.rngmultitypid')} END`,
    collation: `CASE WHEN g.rngcollation <> (SELECT b.typcollation FROM pg_catalog.pg_type b WHERE b.oid = g.rngsubtype)
      THEN ${named('regcollation', 'g.rngcollation')} END`,
    'operator class': `(SELECT CASE WHEN pg_catalog.pg_opclass_is_visible(c.oid) THEN '' ELSE ${quoted('n.nspname')} || '.' END || ${quoted('c.opcname')}
      FROM pg_catalog.pg_opclass c JOIN pg_catalog.pg_namespace n ON n.oid = c.opcnamespace WHERE c.oid = g.rngsubopc)`,
    'canonical function': named('regprocedure', 'g.rngcanonical::oid'),
    'difference function': named('regprocedure', 'g.rngsubdiff::oid'),
  },
};

/** A cast has no schema: it is the tenant's when it is from or to a type of the tenant. */
const cast: FactKind = {
  kind: 'cast',
  class: 'structural',
  from: `(SELECT DISTINCT d.objid FROM obj o JOIN pg_catalog.pg_depend d ON d.refclassid = o.classid AND d.refobjid = o.objid
            WHERE o.classid = ${catalogue('pg_type')} AND d.classid = ${catalogue('pg_cast')}
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype IN ('e', 'i'))) f
    JOIN pg_catalog.pg_cast c ON c.oid = f.objid`,
  name: `${typeName('c.castsource')} || ' as ' || ${typeName('c.casttarget')}`,
  table: 'NULL',
  attributes: {
    function: named('regprocedure', 'c.castfunc'),
    context: `CASE c.castcontext WHEN 'e' THEN 'explicit' WHEN 'a' THEN 'assignment' ELSE 'implicit' END`,
    method: `CASE c.castmethod WHEN 'f' THEN 'function' WHEN 'i' THEN 'inout' ELSE 'binary' END`,
  },
};

export const uncommonTypeKinds: readonly FactKind[] = [range, cast];

export const typeKinds: readonly FactKind[] = [enumeration, domain, domainConstraint, domainConstraintName];

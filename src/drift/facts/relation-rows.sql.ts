import { catalogue, historyTable, quoted } from './words.sql.ts';

const pgClass = catalogue('pg_class');

const relation = `c.oid, c.relkind, c.relname, ${quoted('c.relname')} AS name, c.relnamespace, c.relowner, c.relacl, c.reltype,
         c.relam, c.reltablespace, c.reltoastrelid, c.reloptions, c.relpersistence, c.relispartition, c.relispopulated,
         c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.reloftype, c.relpartbound, c.relhasindex,
         c.relhasrules, c.relhastriggers, c.relhassubclass`;

/**
 * What the kinds of relations read: `rel` (tables, views, sequences, composite types), `seq` (with the column that owns
 * it), `col` (columns of what has rows), `att` (those, and others on which something was granted: `ctid`, a sequence's
 * `last_value`). The history is left out, with its sequence.
 */
export const relationRows = `found AS MATERIALIZED (
  SELECT o.objid AS oid FROM obj o WHERE o.classid = ${pgClass}
  UNION ALL
  SELECT t.typrelid FROM obj o JOIN pg_catalog.pg_type t ON t.oid = o.objid
   WHERE o.classid = ${catalogue('pg_type')} AND t.typtype = 'c'
), seq AS MATERIALIZED (
  SELECT c.oid, c.relname::text AS relname, d.refobjid AS owner_table, d.refobjsubid AS owner_column, d.deptype = 'i' AS is_identity,
         t.relname::text AS table_name, ${quoted('t.relname')} || '.' || ${quoted('a.attname')} AS owned_by
    FROM found f JOIN pg_catalog.pg_class c ON c.oid = f.oid
    LEFT JOIN pg_catalog.pg_depend d ON d.classid = ${pgClass} AND d.objid = c.oid AND d.objsubid = 0
          AND d.refclassid = ${pgClass} AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    LEFT JOIN pg_catalog.pg_class t ON t.oid = d.refobjid
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
   WHERE c.relkind = 'S' AND t.relname IS DISTINCT FROM '${historyTable}'
), rel AS MATERIALIZED (
  SELECT ${relation}, NULL::text AS identity_of
    FROM found f JOIN pg_catalog.pg_class c ON c.oid = f.oid
   WHERE c.relname <> '${historyTable}' AND c.relkind <> 'S'
   UNION ALL
  SELECT ${relation}, CASE WHEN q.is_identity THEN q.owned_by END
    FROM seq q JOIN pg_catalog.pg_class c ON c.oid = q.oid
   WHERE c.relname <> '${historyTable}'
), att AS MATERIALIZED (
  SELECT CASE WHEN r.identity_of IS NULL THEN r.name END AS table_name, r.relkind, r.relowner, a.*,
         coalesce(r.identity_of, r.name) || '.' || ${quoted('a.attname')} AS name
    FROM rel r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND NOT a.attisdropped
     AND (a.attnum > 0 AND r.relkind <> 'S' OR a.attacl IS NOT NULL)
), col AS NOT MATERIALIZED (
  SELECT * FROM att WHERE attnum > 0 AND relkind <> 'S'
)`;

/** How an object of `rel` is called in facts about it: an identity's sequence goes by its column. */
export const relationWord = `CASE r.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
  WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type' ELSE 'table' END`;

export const relationLabel = `${relationWord} || ' ' || coalesce(r.identity_of, r.name)`;

import { type FactKind, printed } from './fact-kind.ts';
import { catalogue, freeOptions, named, options, quoted, roleName, typeName } from './words.sql.ts';

const storageWord = (letter: string) =>
  `CASE ${letter} WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END`;

/** Asked for only where there is one: most columns have none. */
const expression = (
  relation: string,
) => `(SELECT pg_catalog.pg_get_expr(d.adbin, ${relation}) FROM pg_catalog.pg_attrdef d
  WHERE d.adrelid = c.attrelid AND d.adnum = c.attnum)`;

/** No default names a column: printed without its table, which need not be opened for it then. */
const defaultValue = expression('0');

const storage = `CASE WHEN c.attstorage <> t.typstorage THEN ${storageWord('c.attstorage')} END`;
const compression = `CASE c.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END`;
const target = `NULLIF(c.attstattarget, -1)`;

const column: FactKind = {
  kind: 'column',
  class: 'structural',
  from: `col c JOIN pg_catalog.pg_type t ON t.oid = c.atttypid
    LEFT JOIN LATERAL (
      SELECT q.* FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_sequence q ON q.seqrelid = d.objid
       WHERE c.attidentity <> '' AND d.refclassid = ${catalogue('pg_class')} AND d.refobjid = c.attrelid AND d.refobjsubid = c.attnum
         AND d.classid = ${catalogue('pg_class')} AND d.objsubid = 0 AND d.deptype = 'i' OFFSET 0) s ON true
   WHERE c.relkind IN ('r', 'p', 'f')`,
  name: 'c.name',
  table: 'c.table_name',
  attributes: {
    type: typeName('c.atttypid', 'c.atttypmod'),
    collation: `CASE WHEN c.attcollation <> t.typcollation THEN ${named('regcollation', 'c.attcollation')} END`,
    'not null': 'c.attnotnull',
    default: printed(`CASE WHEN c.atthasdef AND c.attgenerated = '' THEN ${defaultValue} END`),
    generated: `CASE c.attgenerated WHEN 's' THEN 'stored' WHEN 'v' THEN 'virtual' END`,
    expression: printed(`CASE WHEN c.attgenerated <> '' THEN ${expression('d.adrelid')} END`),
    identity: `CASE c.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END`,
    'identity options': `CASE WHEN s.seqrelid IS NOT NULL THEN pg_catalog.format(
      'START %s INCREMENT %s MINVALUE %s MAXVALUE %s CACHE %s %s', s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache,
      CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END) END`,
    'identity type': `CASE WHEN s.seqrelid IS NOT NULL THEN ${typeName('s.seqtypid')} END`,
    storage,
    compression,
    'statistics target': target,
    options: options('c.attoptions'),
    'foreign options': freeOptions('c.attfdwoptions'),
    local: 'c.attislocal',
    inherited: 'c.attinhcount::int',
  },
};

/** What is set on a column of a view beside its definition; without any, there is no such fact. */
const viewColumn: FactKind = {
  kind: 'view column',
  class: 'structural',
  from: `col c JOIN pg_catalog.pg_type t ON t.oid = c.atttypid WHERE c.relkind IN ('v', 'm')
    AND (c.atthasdef OR c.attoptions IS NOT NULL OR ${target} IS NOT NULL OR c.attcompression <> ''
         OR c.relkind = 'm' AND c.attstorage <> t.typstorage)`,
  name: 'c.name',
  table: 'c.table_name',
  attributes: {
    default: printed(`CASE WHEN c.atthasdef THEN ${defaultValue} END`),
    storage: `CASE WHEN c.relkind = 'm' THEN ${storage} END`,
    compression,
    'statistics target': target,
    options: options('c.attoptions'),
  },
};

const sequence: FactKind = {
  kind: 'sequence',
  class: 'structural',
  from: `seq q JOIN rel r ON r.oid = q.oid JOIN pg_catalog.pg_sequence s ON s.seqrelid = q.oid WHERE q.is_identity IS NOT TRUE`,
  name: 'r.name',
  table: quoted('q.table_name'),
  attributes: {
    owner: ['security', roleName('r.relowner')],
    type: typeName('s.seqtypid'),
    start: 's.seqstart::text',
    increment: 's.seqincrement::text',
    minimum: 's.seqmin::text',
    maximum: 's.seqmax::text',
    cache: 's.seqcache::text',
    cycle: 's.seqcycle',
    'owned by': 'q.owned_by',
    persistence: `CASE r.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'permanent' END`,
  },
};

/** An identity's sequence is a part of its column; its name is PostgreSQL's own, of the day it was made. */
const sequenceName: FactKind = {
  kind: 'sequence name',
  class: 'cosmetic',
  from: `seq q WHERE q.is_identity`,
  name: 'q.owned_by',
  table: quoted('q.table_name'),
  attributes: { name: 'q.relname' },
};

export const columnKinds: readonly FactKind[] = [column, viewColumn, sequence, sequenceName];

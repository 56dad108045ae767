import { type Attribute, type FactKind, printed } from './fact-kind.ts';
import {
  catalogue,
  freeOptions,
  named,
  options,
  quoted,
  roleName,
  serverName,
  tablespaceName,
  typeName,
} from './words.sql.ts';

const tablespace = tablespaceName('r.reltablespace');
const accessMethod = `(SELECT m.amname::text FROM pg_catalog.pg_am m WHERE m.oid = r.relam)`;
const toastOptions = `CASE WHEN r.reltoastrelid <> 0 THEN (
  SELECT ${options('t.reloptions')} FROM pg_catalog.pg_class t WHERE t.oid = r.reltoastrelid) END`;

/** By name, not by number: what a parent is called, in the order that decides between parents. */
const parents = `(SELECT pg_catalog.array_agg(i.inhparent::pg_catalog.regclass::text ORDER BY i.inhseqno)
  FROM pg_catalog.pg_inherits i WHERE i.inhrelid = r.oid)`;

const owner: Attribute = ['security', roleName('r.relowner')];

const placement: Readonly<Record<string, Attribute>> = {
  'access method': accessMethod,
  tablespace,
  options: options('r.reloptions'),
  'toast options': toastOptions,
};

const rowsOfTables: Readonly<Record<string, Attribute>> = {
  owner,
  inherits: parents,
  'partition bound': printed('CASE WHEN r.relispartition THEN pg_catalog.pg_get_expr(r.relpartbound, r.oid) END'),
  'detach pending': [
    'broken',
    `CASE WHEN r.relispartition THEN (
      SELECT i.inhdetachpending FROM pg_catalog.pg_inherits i WHERE i.inhrelid = r.oid) ELSE false END`,
  ],
  'row security': ['security', 'r.relrowsecurity'],
  'row security forced': ['security', 'r.relforcerowsecurity'],
};

const table: FactKind = {
  kind: 'table',
  class: 'structural',
  from: `rel r WHERE r.relkind IN ('r', 'p')`,
  name: 'r.name',
  table: 'r.name',
  attributes: {
    ...rowsOfTables,
    'partitioned by': `CASE WHEN r.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(r.oid) END`,
    persistence: `CASE r.relpersistence WHEN 'p' THEN 'permanent' WHEN 'u' THEN 'unlogged' ELSE 'temporary' END`,
    'of type': `CASE WHEN r.reloftype <> 0 THEN ${typeName('r.reloftype')} END`,
    'replica identity': `CASE r.relreplident WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' ELSE 'index' END`,
    ...placement,
  },
};

const foreignTable: FactKind = {
  kind: 'foreign table',
  class: 'structural',
  from: `rel r JOIN pg_catalog.pg_foreign_table f ON f.ftrelid = r.oid
    JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver WHERE r.relkind = 'f'`,
  name: 'r.name',
  table: 'r.name',
  attributes: { ...rowsOfTables, server: serverName('s.srvname'), options: freeOptions('f.ftoptions') },
};

/** Apart from the columns themselves: SELECT *, positional INSERTs and row types depend on it, and little else. */
const columnOrder: FactKind = {
  kind: 'column order',
  class: 'cosmetic',
  from: `col c WHERE c.relkind IN ('r', 'p', 'f') GROUP BY c.table_name`,
  name: 'c.table_name',
  table: 'c.table_name',
  attributes: { columns: `pg_catalog.array_agg(c.attname::text ORDER BY c.attnum)` },
};

/** Of a view the definition is all, unless somebody set the options too. */
const optionNames = `'security_barrier', 'security_invoker', 'check_option'`;
const viewOption = (name: string) =>
  `(SELECT o.option_value FROM pg_catalog.pg_options_to_table(r.reloptions) o WHERE o.option_name = '${name}')`;
const isOn = (name: string) => `coalesce(${viewOption(name)}::bool, false)`;

const view: FactKind = {
  kind: 'view',
  class: 'structural',
  from: `rel r WHERE r.relkind = 'v'`,
  name: 'r.name',
  table: 'r.name',
  attributes: {
    owner,
    definition: printed('pg_catalog.pg_get_viewdef(r.oid)'),
    'security barrier': ['security', isOn('security_barrier')],
    'security invoker': ['security', isOn('security_invoker')],
    'check option': viewOption('check_option'),
    options: options('r.reloptions', `pg_catalog.split_part(i, '=', 1) NOT IN (${optionNames})`),
  },
};

const materializedView: FactKind = {
  kind: 'materialized view',
  class: 'structural',
  from: `rel r WHERE r.relkind = 'm'`,
  name: 'r.name',
  table: 'r.name',
  attributes: {
    owner,
    definition: printed('pg_catalog.pg_get_viewdef(r.oid)'),
    populated: ['broken', 'r.relispopulated'],
    persistence: `CASE r.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'permanent' END`,
    'replica identity': `CASE r.relreplident WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' ELSE 'index' END`,
    ...placement,
  },
};

const compositeType: FactKind = {
  kind: 'composite type',
  class: 'structural',
  from: `rel r WHERE r.relkind = 'c'`,
  name: 'r.name',
  table: 'r.name',
  attributes: {
    owner,
    // Its attributes are columns too; here they are in one place, in the order that is a part of the type.
    attributes: `(SELECT pg_catalog.array_agg(${quoted('c.attname')} || ' ' || ${typeName('c.atttypid', 'c.atttypmod')}
        || coalesce(' COLLATE ' || (SELECT ${named('regcollation', 'c.attcollation')} FROM pg_catalog.pg_type t
                                    WHERE t.oid = c.atttypid AND t.typcollation <> c.attcollation), '') ORDER BY c.attnum)
      FROM col c WHERE c.attrelid = r.oid)`,
  },
};

const statistics: FactKind = {
  kind: 'statistics',
  class: 'structural',
  from: `obj o JOIN pg_catalog.pg_statistic_ext x ON x.oid = o.objid JOIN pg_catalog.pg_namespace n ON n.oid = x.stxnamespace
    WHERE o.classid = ${catalogue('pg_statistic_ext')}`,
  name: quoted('x.stxname'),
  table: named('regclass', 'x.stxrelid'),
  attributes: {
    owner: ['security', roleName('x.stxowner')],
    // It prints its own name with the schema, always: exactly that prefix goes.
    definition: printed(`pg_catalog.substr(pg_catalog.pg_get_statisticsobjdef(x.oid),
      pg_catalog.length('CREATE STATISTICS ' || ${quoted('n.nspname')} || '.') + 1)`),
    'statistics target': `NULLIF(x.stxstattarget, -1)`,
  },
};

export const tableKinds: readonly FactKind[] = [table, columnOrder, view];

export const uncommonTableKinds: readonly FactKind[] = [foreignTable, materializedView, compositeType, statistics];

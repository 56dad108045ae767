import type { FactKind } from './fact-kind.ts';
import { named, objectsOf, quoted, roleName, typeName } from './words.sql.ts';

const accessMethod = (oid: string) => `(SELECT m.amname::text FROM pg_catalog.pg_am m WHERE m.oid = ${oid})`;
const side = (oid: string) => `CASE WHEN ${oid} = 0 THEN 'NONE' ELSE ${typeName(oid)} END`;

/** What has no output by the path of its own, named as PostgreSQL would name it. */
function visibleName(owner: string, prefix: string, isVisible: string, oid: string): string {
  return `(SELECT CASE WHEN pg_catalog.${isVisible}(v.oid) THEN '' ELSE ${quoted('n.nspname')} || '.' END || ${quoted(`v.${prefix}name`)}
    FROM pg_catalog.${owner} v JOIN pg_catalog.pg_namespace n ON n.oid = v.${prefix}namespace WHERE v.oid = ${oid})`;
}

const operator: FactKind = {
  kind: 'operator',
  class: 'structural',
  from: objectsOf('pg_operator'),
  name: `x.oprname || '(' || ${side('x.oprleft')} || ',' || ${side('x.oprright')} || ')'`,
  table: 'NULL',
  attributes: {
    owner: ['security', roleName('x.oprowner')],
    function: named('regprocedure', 'x.oprcode'),
    returns: `CASE WHEN x.oprresult <> 0 THEN ${typeName('x.oprresult')} END`,
    commutator: named('regoperator', 'x.oprcom'),
    negator: named('regoperator', 'x.oprnegate'),
    restrict: named('regprocedure', 'x.oprrest'),
    join: named('regprocedure', 'x.oprjoin'),
    hashes: 'x.oprcanhash',
    merges: 'x.oprcanmerge',
  },
};

const operatorClass: FactKind = {
  kind: 'operator class',
  class: 'structural',
  from: objectsOf('pg_opclass'),
  name: `${quoted('x.opcname')} || ' using ' || ${accessMethod('x.opcmethod')}`,
  table: 'NULL',
  attributes: {
    owner: ['security', roleName('x.opcowner')],
    type: typeName('x.opcintype'),
    'key type': `CASE WHEN x.opckeytype <> 0 THEN ${typeName('x.opckeytype')} END`,
    default: 'x.opcdefault',
    family: visibleName('pg_opfamily', 'opf', 'pg_opfamily_is_visible', 'x.opcfamily'),
  },
};

const operatorFamily: FactKind = {
  kind: 'operator family',
  class: 'structural',
  from: objectsOf('pg_opfamily'),
  name: `${quoted('x.opfname')} || ' using ' || ${accessMethod('x.opfmethod')}`,
  table: 'NULL',
  attributes: {
    owner: ['security', roleName('x.opfowner')],
    operators: `(SELECT pg_catalog.array_agg(i ORDER BY i COLLATE "C") FROM (
      SELECT pg_catalog.format('%s %s (%s,%s) %s%s', a.amopstrategy, a.amopopr::pg_catalog.regoperator, ${side('a.amoplefttype')},
               ${side('a.amoprighttype')}, CASE a.amoppurpose WHEN 's' THEN 'for search' ELSE 'for order by ' END,
               ${visibleName('pg_opfamily', 'opf', 'pg_opfamily_is_visible', 'a.amopsortfamily')}) AS i
        FROM pg_catalog.pg_amop a WHERE a.amopfamily = x.oid) l)`,
    functions: `(SELECT pg_catalog.array_agg(i ORDER BY i COLLATE "C") FROM (
      SELECT pg_catalog.format('%s (%s,%s) %s', a.amprocnum, ${side('a.amproclefttype')}, ${side('a.amprocrighttype')},
               a.amproc::pg_catalog.regprocedure) AS i
        FROM pg_catalog.pg_amproc a WHERE a.amprocfamily = x.oid) l)`,
  },
};

function collation(major: number): FactKind {
  const locale = major >= 17 ? 'x.colllocale' : major >= 15 ? 'x.colliculocale' : 'NULL::text';
  return {
    kind: 'collation',
    class: 'structural',
    from: objectsOf('pg_collation'),
    name: quoted('x.collname'),
    table: 'NULL',
    attributes: {
      owner: ['security', roleName('x.collowner')],
      provider: `CASE x.collprovider WHEN 'i' THEN 'icu' WHEN 'c' THEN 'libc' WHEN 'b' THEN 'builtin' ELSE 'default' END`,
      deterministic: 'x.collisdeterministic',
      collate: 'x.collcollate::text',
      ctype: 'x.collctype::text',
      locale,
      rules: major >= 16 ? 'x.collicurules' : 'NULL::text',
      encoding: 'CASE WHEN x.collencoding >= 0 THEN pg_catalog.pg_encoding_to_char(x.collencoding)::text END',
    },
  };
}

const conversion: FactKind = {
  kind: 'conversion',
  class: 'structural',
  from: objectsOf('pg_conversion'),
  name: quoted('x.conname'),
  table: 'NULL',
  attributes: {
    owner: ['security', roleName('x.conowner')],
    from: 'pg_catalog.pg_encoding_to_char(x.conforencoding)::text',
    to: 'pg_catalog.pg_encoding_to_char(x.contoencoding)::text',
    function: named('regprocedure', 'x.conproc'),
    default: 'x.condefault',
  },
};

const textSearchConfiguration: FactKind = {
  kind: 'text search configuration',
  class: 'structural',
  from: objectsOf('pg_ts_config'),
  name: quoted('x.cfgname'),
  table: 'NULL',
  attributes: {
    owner: ['security', roleName('x.cfgowner')],
    parser: visibleName('pg_ts_parser', 'prs', 'pg_ts_parser_is_visible', 'x.cfgparser'),
    mappings: `(SELECT pg_catalog.array_agg(l.i ORDER BY l.i COLLATE "C") FROM (
      SELECT t.alias || ': ' || pg_catalog.string_agg(m.mapdict::pg_catalog.regdictionary::text, ', ' ORDER BY m.mapseqno) AS i
        FROM pg_catalog.pg_ts_config_map m JOIN pg_catalog.ts_token_type(x.cfgparser) t ON t.tokid = m.maptokentype
       WHERE m.mapcfg = x.oid GROUP BY t.alias) l)`,
  },
};

const textSearchDictionary: FactKind = {
  kind: 'text search dictionary',
  class: 'structural',
  from: objectsOf('pg_ts_dict'),
  name: quoted('x.dictname'),
  table: 'NULL',
  attributes: {
    owner: ['security', roleName('x.dictowner')],
    template: visibleName('pg_ts_template', 'tmpl', 'pg_ts_template_is_visible', 'x.dicttemplate'),
    options: 'x.dictinitoption',
  },
};

const textSearchParser: FactKind = {
  kind: 'text search parser',
  class: 'structural',
  from: objectsOf('pg_ts_parser'),
  name: quoted('x.prsname'),
  table: 'NULL',
  attributes: {
    start: named('regprocedure', 'x.prsstart'),
    token: named('regprocedure', 'x.prstoken'),
    end: named('regprocedure', 'x.prsend'),
    headline: named('regprocedure', 'x.prsheadline'),
    types: named('regprocedure', 'x.prslextype'),
  },
};

const textSearchTemplate: FactKind = {
  kind: 'text search template',
  class: 'structural',
  from: objectsOf('pg_ts_template'),
  name: quoted('x.tmplname'),
  table: 'NULL',
  attributes: { init: named('regprocedure', 'x.tmplinit'), lexize: named('regprocedure', 'x.tmpllexize') },
};

export function rareKinds(major: number): readonly FactKind[] {
  return [
    operator,
    operatorClass,
    operatorFamily,
    collation(major),
    conversion,
    textSearchConfiguration,
    textSearchDictionary,
    textSearchParser,
    textSearchTemplate,
  ];
}

/** How they are called where somebody says something about them. */
export const rareLabels = [
  { catalogue: 'pg_operator', label: `'operator ' || ${operator.name}` },
  { catalogue: 'pg_opclass', label: `'operator class ' || ${operatorClass.name}` },
  { catalogue: 'pg_opfamily', label: `'operator family ' || ${operatorFamily.name}` },
  { catalogue: 'pg_collation', label: `'collation ' || ${quoted('x.collname')}` },
  { catalogue: 'pg_conversion', label: `'conversion ' || ${quoted('x.conname')}` },
  { catalogue: 'pg_ts_config', label: `'text search configuration ' || ${quoted('x.cfgname')}` },
  { catalogue: 'pg_ts_dict', label: `'text search dictionary ' || ${quoted('x.dictname')}` },
  { catalogue: 'pg_ts_parser', label: `'text search parser ' || ${quoted('x.prsname')}` },
  { catalogue: 'pg_ts_template', label: `'text search template ' || ${quoted('x.tmplname')}` },
] as const;

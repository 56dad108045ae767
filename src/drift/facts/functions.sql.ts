import { type Attribute, type FactKind, printed } from './fact-kind.ts';
import { catalogue, inBody, inLiterals, named, quoted, roleName, settings, typeName } from './words.sql.ts';

/** Functions by name and types of arguments, which is what makes one the same; those that come with a range type are its own. */
export const functionRows = `fn AS MATERIALIZED (
  SELECT p.*, ${quoted('p.proname')} || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')' AS name
    FROM obj o JOIN pg_catalog.pg_proc p ON p.oid = o.objid AND o.classid = ${catalogue('pg_proc')}
   WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend i
                      WHERE i.classid = o.classid AND i.objid = o.objid AND i.deptype = 'i' AND i.refclassid = ${catalogue('pg_type')})
)`;

const owner: Attribute = ['security', roleName('p.proowner')];

/** What all kinds of routines have. */
const routine: Readonly<Record<string, Attribute>> = {
  owner,
  arguments: printed('pg_catalog.pg_get_function_arguments(p.oid)'),
  language: `(SELECT ${quoted('l.lanname')} FROM pg_catalog.pg_language l WHERE l.oid = p.prolang)`,
  definition: `coalesce(${inLiterals('CASE WHEN p.prosqlbody IS NOT NULL THEN pg_catalog.pg_get_function_sqlbody(p.oid) END')}, ${inBody('p.prosrc')})`,
  'sql body': 'p.prosqlbody IS NOT NULL',
  library: 'p.probin',
  'security definer': ['security', 'p.prosecdef'],
  settings: ['security', settings('p.proconfig')],
  transforms: `(SELECT pg_catalog.array_agg(${typeName('t.oid')} ORDER BY ${typeName('t.oid')} COLLATE "C") FROM pg_catalog.unnest(p.protrftypes) t(oid))`,
};

const behaviour: Readonly<Record<string, Attribute>> = {
  returns: 'pg_catalog.pg_get_function_result(p.oid)',
  window: `p.prokind = 'w'`,
  volatility: `CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END`,
  strict: 'p.proisstrict',
  leakproof: ['security', 'p.proleakproof'],
  parallel: `CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END`,
  cost: 'p.procost::text',
  rows: 'p.prorows::text',
  support: named('regprocedure', 'p.prosupport'),
};

const procedures = (column: string) => named('regprocedure', `g.${column}`);
const modifies = (column: string) =>
  `CASE g.${column} WHEN 'r' THEN 'read only' WHEN 's' THEN 'shareable' ELSE 'read write' END`;

const aggregate: FactKind = {
  kind: 'aggregate',
  class: 'structural',
  from: 'fn p JOIN pg_catalog.pg_aggregate g ON g.aggfnoid = p.oid',
  name: 'p.name',
  table: 'NULL',
  attributes: {
    owner,
    arguments: printed('pg_catalog.pg_get_function_arguments(p.oid)'),
    returns: 'pg_catalog.pg_get_function_result(p.oid)',
    parallel: routineAttribute('parallel'),
    kind: `CASE g.aggkind WHEN 'o' THEN 'ordered set' WHEN 'h' THEN 'hypothetical set' ELSE 'normal' END`,
    'direct arguments': 'g.aggnumdirectargs::int',
    'state function': procedures('aggtransfn'),
    'state type': typeName('g.aggtranstype'),
    'state size': 'g.aggtransspace',
    'initial state': 'g.agginitval',
    'final function': procedures('aggfinalfn'),
    'final function extra': 'g.aggfinalextra',
    'final function modifies': modifies('aggfinalmodify'),
    'combine function': procedures('aggcombinefn'),
    'serial function': procedures('aggserialfn'),
    'deserial function': procedures('aggdeserialfn'),
    'moving state function': procedures('aggmtransfn'),
    'moving inverse function': procedures('aggminvtransfn'),
    'moving state type': `CASE WHEN g.aggmtranstype <> 0 THEN ${typeName('g.aggmtranstype')} END`,
    'moving state size': 'g.aggmtransspace',
    'moving initial state': 'g.aggminitval',
    'moving final function': procedures('aggmfinalfn'),
    'moving final function extra': 'g.aggmfinalextra',
    'moving final function modifies': modifies('aggmfinalmodify'),
    'sort operator': named('regoperator', 'g.aggsortop'),
  },
};

function routineAttribute(name: 'parallel'): Attribute {
  return behaviour[name]!;
}

const procedure: FactKind = {
  kind: 'procedure',
  class: 'structural',
  from: `fn p WHERE p.prokind = 'p'`,
  name: 'p.name',
  table: 'NULL',
  attributes: routine,
};

export const uncommonFunctionKinds: readonly FactKind[] = [procedure, aggregate];

export const functionKinds: readonly FactKind[] = [
  {
    kind: 'function',
    class: 'structural',
    from: `fn p WHERE p.prokind IN ('f', 'w')`,
    name: 'p.name',
    table: 'NULL',
    attributes: { ...routine, ...behaviour },
  },
];

import { attachedKinds } from './attached.sql.ts';
import { columnKinds } from './columns.sql.ts';
import { constraintKinds, constraintRows } from './constraints.sql.ts';
import type { FactGroup } from './fact-kind.ts';
import { functionKinds, functionRows } from './functions.sql.ts';
import { relationPrivileges } from './privileges.sql.ts';
import { rareKinds, rareLabels } from './rare.sql.ts';
import { relationRows } from './relation-rows.sql.ts';
import { relationRemarks, remarksOnObjects } from './remarks.sql.ts';
import { schemaKinds } from './schema.sql.ts';
import { tableKinds } from './tables.sql.ts';
import { typeKinds, typeRows } from './types.sql.ts';
import { builtIn, objects } from './words.sql.ts';

/** The catalogues whose objects a group reads: a schema that has none of them is not asked. */
export interface NeededGroup extends FactGroup {
  /** Empty: always. */
  readonly catalogues: readonly string[];
}

const routineRemarks = remarksOnObjects([
  {
    catalogue: 'pg_proc',
    label: `CASE x.prokind WHEN 'p' THEN 'procedure ' WHEN 'a' THEN 'aggregate ' ELSE 'function ' END
      || pg_catalog.quote_ident(x.proname) || '(' || pg_catalog.oidvectortypes(x.proargtypes) || ')'`,
  },
]);

const typeRemarks = remarksOnObjects([
  {
    catalogue: 'pg_type',
    label: `'type ' || pg_catalog.quote_ident(x.typname)`,
    where: `x.typtype IN ('e', 'd', 'r')`,
  },
]);

const relationOwners = builtIn('SELECT DISTINCT r.relowner AS owner FROM rel r', ['relation', 'sequence', 'type']);
const routineOwners = builtIn('SELECT DISTINCT p.proowner AS owner FROM fn p', ['routine']);
const typeOwners = builtIn('SELECT DISTINCT t.typowner AS owner FROM typ t', ['type']);

const rareRemarks = remarksOnObjects(rareLabels);

/** All facts of a server's major version, a statement each group. */
export function factGroups(major: number): readonly NeededGroup[] {
  return [
    { name: 'schema', catalogues: [], prelude: objects, kinds: schemaKinds(major) },
    {
      name: 'relations',
      catalogues: ['pg_class', 'pg_statistic_ext', 'pg_type'],
      prelude: `${relationRows}, ${constraintRows(major)}, ${relationRemarks.rows}, ${relationOwners}`,
      kinds: [
        ...tableKinds,
        ...columnKinds,
        ...constraintKinds(major),
        ...attachedKinds(major),
        ...relationPrivileges,
        ...relationRemarks.kinds,
      ],
    },
    {
      name: 'functions',
      catalogues: ['pg_proc'],
      prelude: `${objects}, ${functionRows}, ${routineRemarks.rows}, ${routineOwners}`,
      kinds: [...functionKinds, ...routineRemarks.kinds],
    },
    {
      name: 'types',
      catalogues: ['pg_type'],
      prelude: `${objects}, ${typeRows}, ${typeRemarks.rows}, ${typeOwners}`,
      kinds: [...typeKinds, ...typeRemarks.kinds],
    },
    {
      name: 'rare',
      catalogues: rareLabels.map(({ catalogue }) => catalogue),
      prelude: `${objects}, ${rareRemarks.rows}`,
      kinds: [...rareKinds(major), ...rareRemarks.kinds],
    },
  ];
}

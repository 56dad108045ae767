import { attachedKinds, publishedTable } from './attached.sql.ts';
import { columnKinds } from './columns.sql.ts';
import { constraintKinds, constraintRows } from './constraints.sql.ts';
import type { FactGroup } from './fact-kind.ts';
import { functionKinds, functionRows, uncommonFunctionKinds } from './functions.sql.ts';
import { grantedRows, privileges } from './privileges.sql.ts';
import { rareKinds, rareLabels } from './rare.sql.ts';
import { relationRows } from './relation-rows.sql.ts';
import { labelsOf, relationLabels, remarksOn } from './remarks.sql.ts';
import { schemaKinds, uncommonSchemaKinds } from './schema.sql.ts';
import { tableKinds, uncommonTableKinds } from './tables.sql.ts';
import { typeKinds, typeRows, uncommonTypeKinds } from './types.sql.ts';
import { objects } from './words.sql.ts';

/** A statement of facts, and who needs it. */
export interface NeededGroup extends FactGroup {
  readonly isNeeded: (schema: HeldObjects) => boolean;
}

/** What is known of a schema before its facts are read. */
export interface HeldObjects {
  /** Catalogues that hold something of it: `pg_class`, `pg_proc`, … */
  readonly catalogues: readonly string[];
  /** It may have facts of a kind that few have. */
  readonly hasUncommon: boolean;
}

const commonRemarks = remarksOn([
  ...relationLabels,
  ...labelsOf([
    {
      catalogue: 'pg_proc',
      label: `CASE x.prokind WHEN 'p' THEN 'procedure ' WHEN 'a' THEN 'aggregate ' ELSE 'function ' END
      || pg_catalog.quote_ident(x.proname) || '(' || pg_catalog.oidvectortypes(x.proargtypes) || ')'`,
    },
    {
      catalogue: 'pg_type',
      label: `'type ' || pg_catalog.quote_ident(x.typname)`,
      where: `x.typtype IN ('e', 'd', 'r')`,
    },
  ]),
]);

const rareRemarks = remarksOn(labelsOf(rareLabels));

const rareCatalogues: readonly string[] = rareLabels.map(({ catalogue }) => catalogue);

/** Catalogues of objects in a schema that facts are about. */
export const knownCatalogues: readonly string[] = [
  ...['pg_class', 'pg_statistic_ext', 'pg_type', 'pg_proc', 'pg_default_acl', 'pg_publication_namespace'],
  ...rareCatalogues,
];

/**
 * All facts of a server's major version, a statement each group. What most tenants have is one statement, so that what a
 * schema holds is looked up once; what few have is not in it, since to plan it for each session, and to set it up for
 * each schema, takes its time even where there is nothing to find.
 */
export function factGroups(major: number): readonly NeededGroup[] {
  const rows = [objects, relationRows, constraintRows(major), functionRows, typeRows, commonRemarks.rows, grantedRows];
  const prelude = rows.join(', ');
  return [
    {
      name: 'common',
      isNeeded: () => true,
      prelude,
      kinds: [
        ...schemaKinds,
        ...tableKinds,
        ...columnKinds,
        ...constraintKinds(major),
        ...attachedKinds,
        privileges,
        ...functionKinds,
        ...typeKinds,
        commonRemarks.comment,
      ],
    },
    {
      name: 'uncommon',
      isNeeded: ({ hasUncommon }) => hasUncommon,
      prelude,
      kinds: [
        ...uncommonSchemaKinds(major),
        ...uncommonTableKinds,
        publishedTable(major),
        ...uncommonFunctionKinds,
        ...uncommonTypeKinds,
        commonRemarks.securityLabel,
      ],
    },
    {
      name: 'rare',
      isNeeded: ({ catalogues }) => rareCatalogues.some((name) => catalogues.includes(name)),
      prelude: `${objects}, ${rareRemarks.rows}`,
      kinds: [...rareKinds(major), rareRemarks.comment, rareRemarks.securityLabel],
    },
  ];
}

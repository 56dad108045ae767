import type { Migration } from '../../src/migrations/folder.ts';
import { Inspector } from '../../src/migrations/inspection.ts';
import { type JudgedMigration, judgePlan } from '../../src/migrations/plan-hazards.ts';
import type { TenantContext } from '../../src/migrations/schema-context.ts';
import { parseSqlFile } from '../../src/migrations/sql-file.ts';
import { loadParser } from '../../src/migrations/statements.ts';

export const inspector = new Inspector(await loadParser());

/** A file in SQL that is in no folder. */
export function sqlMigration(text: string, name = '0001_x'): Migration {
  const displayPath = `migrations/${name}.sql`;
  return { kind: 'sql', name, path: `/${displayPath}`, displayPath, checksum: '', text, sql: parseSqlFile(text) };
}

/** For one tenant with the schema `me`. */
export const forMe: TenantContext = { schemas: new Set(['me']), alsoOnPath: new Set(['me', 'public']) };

/** What is said of files that run one after the other; `access-exclusive` of every table that is locked so. */
export function judge(texts: readonly string[], context: TenantContext = forMe): readonly JudgedMigration[] {
  const migrations = texts.map((text, index) => sqlMigration(text, `000${index + 1}_x`));
  return judgePlan(migrations, 'up', inspector, context);
}

/** `drop-column users.tmp`, of all files together. */
export function hazardsIn(texts: string | readonly string[], context: TenantContext = forMe): readonly string[] {
  return judge(typeof texts === 'string' ? [texts] : texts, context).flatMap(({ hazards }) =>
    hazards.map(({ hazard, subject }) => `${hazard} ${subject}`),
  );
}

import { hash } from 'node:crypto';
import type { Session } from '../postgres/session.ts';
import { hashText, rowsText } from './facts/fact-kind.ts';
import { factGroups, type HeldObjects, type NeededGroup } from './facts/groups.ts';
import { parameterTypes } from './facts/words.sql.ts';
import type { NameParameters } from './own-names.ts';

/** What of a schema decides which statements it is read by. */
interface ReadSchema extends HeldObjects {
  readonly oid: string;
  readonly major: number;
}

const groupsOfMajor = new Map<number, readonly NeededGroup[]>();

/** The groups of facts that one of these schemas, all of one server, has. */
function groupsFor(schemas: readonly ReadSchema[]): readonly NeededGroup[] {
  const [first] = schemas;
  if (first === undefined) return [];
  const groups = groupsOfMajor.get(first.major) ?? factGroups(first.major);
  groupsOfMajor.set(first.major, groups);
  return groups.filter((group) => schemas.some(group.isNeeded));
}

/**
 * PostgreSQL prints by these, so that a database with settings of its own does not print other facts. Each statement
 * must find pg_catalog alone on the path: nothing of the tenant can then take the place of what is called, and the plan
 * is used again for the next tenant.
 */
const printingSettings = Object.entries({
  search_path: 'pg_catalog',
  timezone: "'UTC'",
  datestyle: "'ISO, YMD'",
  intervalstyle: 'postgres',
  extra_float_digits: '1',
  bytea_output: 'hex',
  lc_monetary: "'C'",
  quote_all_identifiers: 'off',
  standard_conforming_strings: 'on',
  plan_cache_mode: 'force_generic_plan',
  jit: 'off',
  max_parallel_workers_per_gather: '0',
})
  .map(([name, value]) => `SET LOCAL ${name} = ${value};`)
  .join(' ');

/** Of the texts that facts of one major are read by: what was kept of facts that were read by others is of no use. */
export function factsChecksum(major: number): string {
  return hash('sha256', JSON.stringify(factGroups(major).map(rowsText)));
}

/** What is asked for: sums over the facts, or the facts. */
export type FactForm = 'sums' | 'rows';

const textOf = { sums: hashText, rows: rowsText } as const;

/**
 * Prepares the statements that these schemas need, once a session: to plan them takes ten times as long as to run them.
 * Sends without waiting; a statement that could not be prepared is forgotten, for the next one who needs it.
 */
export async function prepareFacts(session: Session, schemas: readonly ReadSchema[], form: FactForm): Promise<void> {
  const missing = groupsFor(schemas).filter(({ name }) => !session.prepared.has(statementName(name, form)));
  const sent = missing.map(async (group) => {
    const name = statementName(group.name, form);
    session.prepared.add(name);
    try {
      await session.raw(`${printingSettings} PREPARE ${name} (${parameterTypes.join(', ')}) AS ${textOf[form](group)}`);
    } catch (error) {
      session.prepared.delete(name);
      throw error;
    }
  });
  await Promise.all(sent);
}

function statementName(group: string, form: FactForm): string {
  return `tenantctl_facts_${group}_${form}`;
}

/**
 * Asks for all facts of a schema: one text for all groups, whose answers come together, a row each. Everything is sent
 * before the first answer is awaited.
 */
export async function executeFacts<Row>(
  session: Session,
  schema: ReadSchema,
  names: NameParameters,
  form: FactForm,
): Promise<readonly Row[]> {
  const values = [schema.oid, ...Object.values(names)].map(literal).join(', ');
  const statements = groupsFor([schema]).map(({ name }) => `EXECUTE ${statementName(name, form)}(${values});`);
  const prepared = prepareFacts(session, [schema], form);
  const [results] = await Promise.all([session.raw(`${printingSettings} ${statements.join(' ')}`), prepared]);
  // One text of several statements has a result for each; those that set something have no rows.
  return [results].flat().flatMap((result) => result.rows as Row[]);
}

/** Whatever the server takes a backslash for: EXECUTE takes no parameters. */
function literal(value: string | null): string {
  return value === null ? 'NULL' : `E'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

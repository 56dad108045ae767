import type { FactSet, OwnNames, TenantShape } from '../../src/drift/fact.ts';
import { hashSchemas, mapSchemas } from '../../src/drift/hash-schemas.ts';
import { readFacts } from '../../src/drift/read-facts.ts';
import { quoteIdentifier } from '../../src/postgres/identifiers.ts';
import type { Session } from '../../src/postgres/session.ts';

export interface ReadTenant {
  readonly facts: FactSet;
  readonly shape: TenantShape;
}

/** Reads a schema both ways, in a transaction that is rolled back with what was planted in it. */
export async function readTenant(
  session: Session,
  schema: string,
  options: { readonly planted?: string; readonly own?: OwnNames } = {},
): Promise<ReadTenant> {
  const { planted = '', own = { schema, id: schema, role: null } } = options;
  await session.raw(`BEGIN; SET LOCAL search_path = ${quoteIdentifier(schema)}; SET LOCAL check_function_bodies = off`);
  try {
    if (planted !== '') await session.raw(planted);
    const mapped = (await mapSchemas(session, [schema])).get(schema);
    if (mapped === undefined) throw new Error(`${schema} was not found`);
    const facts = await readFacts(session, mapped, own);
    const shape = (await hashSchemas(session, [mapped], () => own)).get(schema);
    if (shape?.facts !== facts.facts.size) throw new Error('the sums are not over the facts that were read');
    return { facts, shape };
  } finally {
    await session.raw('ROLLBACK');
  }
}

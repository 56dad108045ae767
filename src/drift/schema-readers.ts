import type { FactSet, TenantShape } from './fact.ts';
import { prepareFacts } from './fact-statements.ts';
import { hashSchemas } from './hash-schemas.ts';
import { readFacts } from './read-facts.ts';
import type { SchemaReader } from './scan-batch.ts';

/** For the scan of a fleet: the server hashes, a line comes back. */
export const shapeReader: SchemaReader<TenantShape> = {
  prepare: (session, schemas) => prepareFacts(session, schemas, 'sums'),
  read: async (session, mapped, own) => {
    const shape = (await hashSchemas(session, [mapped], () => own)).get(mapped.schema);
    if (shape === undefined) throw new Error(`schema ${mapped.schema} was not hashed`);
    return shape;
  },
  withVersion: (shape, version) => ({ ...shape, version }),
  countFacts: ({ facts }) => facts,
};

/** For what differs: every fact in full. */
export const factsReader: SchemaReader<FactSet> = {
  prepare: (session, schemas) => prepareFacts(session, schemas, 'rows'),
  read: readFacts,
  withVersion: (facts) => facts,
  countFacts: ({ facts }) => facts.size,
};

import type { Session } from '../postgres/session.ts';
import type { Comparison } from './baseline.ts';
import type { BuiltStructure } from './baseline-build.ts';
import { findOtherTools } from './other-tools.ts';
import { findObjects, hashStructures, readStructure } from './structure.ts';
import { compareStructures, type Difference } from './structure-differences.ts';

/** What a place's tenants are compared with; a text says why there is nothing to compare with. */
export type Reference = BuiltStructure | { readonly because: string };

/**
 * Compares many schemas of one database with what the migrations build there: a hash a schema, and the facts
 * themselves once for each distinct shape that differs.
 */
export class StructureSurveyor {
  readonly #shapes = new Map<string, Promise<readonly Difference[]>>();

  /** Schemas that are not there are not in the answer. The session is a reader, and idle. */
  async compare(session: Session, schemas: readonly string[], reference: Reference): Promise<Map<string, Comparison>> {
    const tools = await findOtherTools(session, schemas);
    const found = new Map<string, Comparison>();
    if ('because' in reference) {
      for (const schema of schemas) {
        found.set(schema, { comparison: 'not-possible', because: reference.because, tools: tools.get(schema) ?? [] });
      }
      return found;
    }
    // A backend remembers each object that it has described.
    session.tenantsServed += schemas.length;
    await session.raw('BEGIN READ ONLY');
    const objects = await findObjects(session, schemas);
    const hashes = await hashStructures(session, [...objects.values()]);
    for (const [schema, hash] of hashes) {
      const here = { tools: tools.get(schema) ?? [] };
      if (hash === reference.hash) {
        found.set(schema, { comparison: 'equal', ...here });
        continue;
      }
      const shape = `${reference.hash} ${hash}`;
      const known = this.#shapes.get(shape);
      const differences =
        known ??
        readStructure(session, objects.get(schema)!).then((facts) => compareStructures(reference.facts, facts));
      this.#shapes.set(shape, differences);
      // A failed read is made again by the next that has this shape.
      if (known === undefined) differences.catch(() => this.#shapes.delete(shape));
      found.set(schema, { comparison: 'different', differences: await differences, ...here });
    }
    await session.raw('COMMIT');
    return found;
  }
}

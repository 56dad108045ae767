import type { CreatedObjects, IsOwn } from './created-objects.ts';
import type { Touch } from './touches.ts';

/** For whom migrations are looked at: one tenant, or several that have the same plan. */
export interface TenantContext {
  /** Their schemas. What names one of several is another schema for the rest. */
  readonly schemas: ReadonlySet<string>;
  /** Schemas that their search paths also have: to read there is no surprise. */
  readonly alsoOnPath?: ReadonlySet<string>;
  /** Names that are not in their own schemas and that the search path finds in a shared one. Not said: none is known. */
  readonly sharedNames?: ReadonlySet<string>;
}

/** When nothing is known of the tenants: every schema that is written in a statement is another one. */
export const anyTenant: TenantContext = { schemas: new Set() };

export function isOwnSchema({ schemas }: TenantContext): IsOwn {
  const only = schemas.size === 1 ? schemas : new Set<string>();
  return (schema) => schema === null || schema === 'pg_temp' || only.has(schema);
}

/** Does it lock something that others use too? */
export function isShared(touch: Touch, context: TenantContext, created: CreatedObjects): boolean {
  return touch.use === 'changes' && foreignSchema(touch, context, created) !== null;
}

/** Where a touch leads when it leaves the tenants' own schema; `schema` null: to one that the search path finds. */
export function foreignSchema(
  { schema, name, use }: Touch,
  context: TenantContext,
  created: CreatedObjects,
): { readonly schema: string | null } | null {
  if (schema !== null) {
    const isRead = use === 'reads' && (systemSchemas.has(schema) || context.alsoOnPath?.has(schema));
    return isRead || isOwnSchema(context)(schema) ? null : { schema };
  }
  const isFound = name !== null && context.sharedNames?.has(name) === true && !created.has({ schema, name });
  return isFound && use === 'changes' ? { schema: null } : null;
}

const systemSchemas = new Set(['pg_catalog', 'information_schema']);

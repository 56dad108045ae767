import { driftClasses } from './compare.ts';
import type { TenantShape, Unmodelled } from './fact.ts';
import type { KnownDifference, KnownDrift, RememberedTenant, WatchState } from './watch-state.ts';
import type { ClusterIdentity } from './watermark.sql.ts';

/** The form of the file; another tenantctl that changes it gives it another name. */
const schema = 'tenantctl/drift-watch/1';

/** The text of a state file. */
export function formatState({ program, tenants, drift }: WatchState): string {
  const byReference = [...drift].map(([against, known]) => [against, Object.fromEntries(known)]);
  const state = { schema, program, tenants: Object.fromEntries(tenants), drift: Object.fromEntries(byReference) };
  return `${JSON.stringify(state)}\n`;
}

/** Reads the text of a state file; null when it is none of ours, or damaged: in any part, for a part is no state. */
export function parseState(text: string): WatchState | null {
  const state = fromJson(text);
  if (!isRecord(state) || state.schema !== schema || typeof state.program !== 'string') return null;
  const tenants = toMap(state.tenants, isRemembered);
  const drift = toMap(state.drift, isRecord);
  if (tenants === null || drift === null) return null;
  const byReference = new Map<string, KnownDrift>();
  for (const [against, known] of drift) {
    const differences = toMap(known, isListOf(isKnownDifference));
    if (differences === null) return null;
    byReference.set(against, differences);
  }
  return { program: state.program, tenants, drift: byReference };
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Null: it is no object, or one of its values is not what it should be. */
function toMap<T>(value: unknown, isValue: (each: unknown) => each is T): Map<string, T> | null {
  if (!isRecord(value)) return null;
  const map = new Map<string, T>();
  for (const [key, each] of Object.entries(value)) {
    if (!isValue(each)) return null;
    map.set(key, each);
  }
  return map;
}

function isRemembered(value: unknown): value is RememberedTenant {
  return hasTexts(value, ['place', 'mark', 'readAt', 'seenAt']) && isCluster(value.cluster) && isShape(value.shape);
}

function isCluster(value: unknown): value is ClusterIdentity {
  return hasTexts(value, ['system', 'database', 'nextXid']) && typeof value.timeline === 'number';
}

function isShape(value: unknown): value is TenantShape {
  return (
    hasTexts(value, ['shape', 'structure']) &&
    typeof value.major === 'number' &&
    typeof value.facts === 'number' &&
    (value.version === null || typeof value.version === 'string') &&
    isListOf(isUnmodelled)(value.unmodelled)
  );
}

function isUnmodelled(value: unknown): value is Unmodelled {
  return hasTexts(value, ['kind']) && typeof value.count === 'number';
}

function isKnownDifference(value: unknown): value is KnownDifference {
  const isClass = (each: unknown): each is string => driftClasses.some((known) => known === each);
  return hasTexts(value, ['key', 'kind', 'name', 'text', 'since']) && isListOf(isClass)(value.classes);
}

function isListOf<T>(isEach: (each: unknown) => each is T): (value: unknown) => value is readonly T[] {
  return (value): value is readonly T[] => Array.isArray(value) && value.every(isEach);
}

function hasTexts(value: unknown, names: readonly string[]): value is Readonly<Record<string, unknown>> {
  return isRecord(value) && names.every((name) => typeof value[name] === 'string');
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

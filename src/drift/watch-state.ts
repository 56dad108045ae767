import type { DriftClass, TenantShape } from './fact.ts';
import type { ClusterIdentity } from './watermark.sql.ts';

/** What was read of one tenant, and what tells that it still holds. */
export interface RememberedTenant {
  /** Server, database, schema, role: another place, or another name, makes it another tenant. */
  readonly place: string;
  readonly cluster: ClusterIdentity;
  readonly mark: string;
  readonly shape: TenantShape;
  /** RFC 3339: when its catalogue was read in full. */
  readonly readAt: string;
  /** RFC 3339: when a watch last had it among its tenants. */
  readonly seenAt: string;
}

/** A difference that was told already. */
export interface KnownDifference {
  /** Two differences with the same one are the same, down to the definitions. */
  readonly key: string;
  /** That a part of it belongs to, the worst first. */
  readonly classes: readonly DriftClass[];
  readonly kind: string;
  readonly name: string;
  /** In one line, as it was told. */
  readonly text: string;
  /** RFC 3339, UTC: when a watch first saw it. */
  readonly since: string;
}

/** By the tenant's id. */
export type KnownDrift = ReadonlyMap<string, readonly KnownDifference[]>;

/** What a watch remembers for the next one. */
export interface WatchState {
  /** Another tenantctl may print or hash the same catalogue in another way. */
  readonly program: string;
  /** By id. Maps, for an id may be a word that every object knows: `constructor`. */
  readonly tenants: ReadonlyMap<string, RememberedTenant>;
  /** By what the tenants were held to: `majority`, `file:expected.txt`. Each answers for itself. */
  readonly drift: ReadonlyMap<string, KnownDrift>;
}

/** Who has not been seen for so long has left the fleet. */
const forgottenAfterMs = 90 * 86_400_000;

/** What one watch has to say about its tenants. */
export interface WatchUpdate {
  readonly program: string;
  readonly against: string;
  readonly tenants: ReadonlyMap<string, RememberedTenant>;
  /** Of those that were compared; the others keep what is known of them. */
  readonly drift: ReadonlyMap<string, readonly KnownDifference[]>;
}

/**
 * The state with what this watch found. `before` is the state as it is now, and not as it was when the watch began: one
 * that ran beside it, over other tenants or against something else, keeps its word.
 */
export function updateState(before: WatchState | null, update: WatchUpdate, now: Date): WatchState {
  const { program, against } = update;
  const kept = before?.program === program ? before.tenants : new Map<string, RememberedTenant>();
  const tenants = new Map([...kept, ...update.tenants]);
  const told = new Map([...(before?.drift.get(against) ?? []), ...update.drift]);
  const drift = new Map([...(before?.drift ?? []), [against, told] as const]);
  const isForgotten = (id: string) => {
    const seenAt = (tenants.get(id) ?? before?.tenants.get(id))?.seenAt;
    return seenAt !== undefined && now.getTime() - Date.parse(seenAt) > forgottenAfterMs;
  };
  return {
    program,
    tenants: pick(tenants, (id) => !isForgotten(id)),
    drift: new Map(
      [...drift].map(([reference, known]) => {
        // Who has no drift needs no line.
        return [reference, pick(known, (id, differences) => differences.length > 0 && !isForgotten(id))] as const;
      }),
    ),
  };
}

function pick<T>(map: ReadonlyMap<string, T>, isKept: (key: string, value: T) => boolean): ReadonlyMap<string, T> {
  return new Map([...map].filter(([key, value]) => isKept(key, value)));
}

import type { Failure } from '../errors.ts';
import type { Candidate } from './discovery-rows.ts';
import { quoted } from './inventory/names.ts';
import { describePlace, tenantPlaceKey } from './inventory/tenants.ts';
import type { SharedSchema } from './inventory/types.ts';
import { placeKey, type Tenant } from './tenant.ts';

/** Found, but not fit to be worked on. */
export interface FailedTenant {
  readonly tenant: Tenant;
  readonly failure: Failure;
}

/**
 * Decides who of those found is a tenant. The file wins over the world, in its places and with its ids; of those found,
 * nobody wins: both sides of a clash fail, because choosing one would make the answer depend on the order of reading.
 */
export function settleDiscovered(
  explicit: readonly Tenant[],
  shared: readonly SharedSchema[],
  candidates: readonly Candidate[],
): { readonly tenants: readonly Tenant[]; readonly failed: readonly FailedTenant[] } {
  const claimed = new Set(explicit.map(tenantPlaceKey));
  const free = withoutShared(candidates, shared).filter(
    (each) => isBadRow(each) || !claimed.has(tenantPlaceKey(each.tenant)),
  );
  const sound = withoutRepeats(free.filter((each) => each.failure === null));
  const named = new Set(sound.map((each) => tenantPlaceKey(each.tenant)));
  // What one source could not name well another one may have named properly.
  const broken = withoutRepeats(free.filter((each) => each.failure !== null)).filter(
    (each) => each.failure?.code !== 'unusable-name' || !named.has(tenantPlaceKey(each.tenant)),
  );
  const tenants = sound.map((each) => each.tenant);
  const clashes = [twoNames(tenants), oneId(explicit, tenants), sharedDatabase(explicit, tenants)];

  const good: Tenant[] = [];
  const failed: FailedTenant[] = broken.flatMap(({ tenant, failure }) => (failure ? [{ tenant, failure }] : []));
  for (const tenant of tenants) {
    const failure = clashes.map((clash) => clash(tenant)).find((each) => each !== null);
    if (failure === undefined || failure === null) good.push(tenant);
    else failed.push({ tenant, failure });
  }
  return { tenants: good.sort(byId), failed: failed.sort((a, b) => byId(a.tenant, b.tenant)) };
}

/** What it says of its place is not to be trusted, so it is neither won over nor merged by place. */
function isBadRow(candidate: Candidate): boolean {
  return candidate.failure?.code === 'bad-row';
}

type Clash = (tenant: Tenant) => Failure | null;

/** By code units, which is the same on every machine. */
function byId(a: Tenant, b: Tenant): number {
  if (a.id !== b.id) return a.id < b.id ? -1 : 1;
  const [placeA, placeB] = [tenantPlaceKey(a), tenantPlaceKey(b)];
  return placeA < placeB ? -1 : Number(placeA > placeB);
}

/** A pattern does not mean the shared schemas; a registry that calls one a tenant is wrong. */
function withoutShared(candidates: readonly Candidate[], shared: readonly SharedSchema[]): readonly Candidate[] {
  const places = new Set(shared.map(tenantPlaceKey));
  return candidates.flatMap((each) => {
    if (isBadRow(each) || !places.has(tenantPlaceKey(each.tenant))) return [each];
    if (each.entry.kind !== 'query') return [];
    const message = `is a shared schema of the inventory: ${describePlace(each.tenant)}`;
    return [{ ...each, failure: { message, code: 'clash', hint: 'take the row out of the registry' } }];
  });
}

/** The same tenant found by two sources counts once, as the first one says. */
function withoutRepeats(candidates: readonly Candidate[]): readonly Candidate[] {
  const first = new Map<string, Candidate>();
  for (const each of candidates) {
    const key = `${each.tenant.id}\0${tenantPlaceKey(each.tenant)}`;
    if (!first.has(key)) first.set(key, each);
  }
  return [...first.values()];
}

function twoNames(tenants: readonly Tenant[]): Clash {
  const byPlace = Map.groupBy(tenants, tenantPlaceKey);
  return (tenant) => {
    const other = byPlace.get(tenantPlaceKey(tenant))?.find((each) => each !== tenant);
    if (other === undefined) return null;
    return {
      message: `is found under two names, ${quoted(tenant.id)} and ${quoted(other.id)}: ${describePlace(tenant)}`,
      code: 'clash',
      hint: 'narrow the discover entries so that one of them finds it, or name it under tenants',
    };
  };
}

function oneId(explicit: readonly Tenant[], tenants: readonly Tenant[]): Clash {
  const owners = new Map(explicit.map((tenant) => [tenant.id, tenant]));
  const found = Map.groupBy(tenants, (tenant) => tenant.id);
  return (tenant) => {
    const other = owners.get(tenant.id) ?? found.get(tenant.id)?.find((each) => each !== tenant);
    if (other === undefined) return null;
    return {
      message: `id ${quoted(tenant.id)} is also that of ${describePlace(other)}; this is ${describePlace(tenant)}`,
      code: 'clash',
      hint: idHint(tenant, other),
    };
  };
}

/** The template that would tell these two apart. */
function idHint(a: Tenant, b: Tenant): string {
  if (a.server !== b.server) return 'discover[].id: "{server}-{match}"';
  if (a.database !== b.database && a.schema !== null) return 'discover[].id: "{database}-{match}"';
  return a.schema === null ? 'discover[].id: "{database}"' : 'discover[].id: "{schema}"';
}

/** Whoever owns a database may be dumped, dropped and restored as a whole: nobody else may live in it. */
function sharedDatabase(explicit: readonly Tenant[], tenants: readonly Tenant[]): Clash {
  const owners = new Map<string, Tenant>();
  const guests = new Map<string, Tenant>();
  for (const tenant of explicit) if (tenant.schema === null) owners.set(placeKey(tenant), tenant);
  for (const tenant of [...explicit, ...tenants]) if (tenant.schema !== null) guests.set(placeKey(tenant), tenant);
  return (tenant) => {
    const other = (tenant.schema === null ? guests : owners).get(placeKey(tenant));
    if (other === undefined) return null;
    const [owner, guest] = tenant.schema === null ? [tenant, other] : [other, tenant];
    return {
      message:
        `database ${quoted(tenant.database)} on server ${quoted(tenant.server)} would be ${quoted(owner.id)}'s own, ` +
        `but ${quoted(guest.id)} lives there in schema ${quoted(guest.schema ?? 'public')}`,
      code: 'clash',
      hint: 'narrow the pattern so that it leaves that database out',
    };
  };
}

import type { Tenant } from '../fleet/tenant.ts';
import { plural } from '../words.ts';
import type { FactSet, TenantShape } from './fact.ts';
import type { ScannedTenant } from './group.ts';
import type { Reference } from './reference.ts';

/** How most tenants of one version and one PostgreSQL major look. */
export interface Majority {
  readonly shape: string;
  /** Those that look so, by id: each of them can stand for all. */
  readonly tenants: readonly Tenant[];
  /** Said when others were as many, and how it was decided; null: they were not. */
  readonly tie: string | null;
}

/** Why the tenants of a version have no majority. */
export interface NoMajority {
  readonly why: string;
}

const hint = 'hold them to what the migrations build: --against migrations';

/** The majorities of a fleet, one for each migration version and PostgreSQL major. */
export function findMajorities(scanned: readonly ScannedTenant[]): ReadonlyMap<string, Majority | NoMajority> {
  const byVersion = Map.groupBy(scanned, ({ shape }) => versionKey(shape));
  return new Map([...byVersion].map(([key, tenants]) => [key, findMajority(tenants)]));
}

/** Facts of two majors are never compared, and a pending migration is no drift. */
export function versionKey({ major, version }: Pick<TenantShape, 'major' | 'version'>): string {
  return JSON.stringify([major, version]);
}

/** Each tenant held to the commonest shape of its version; `read` reads all facts of a tenant. */
export function majorityReference(
  scanned: readonly ScannedTenant[],
  read: (tenant: Tenant) => Promise<FactSet>,
): Reference {
  const majorities = findMajorities(scanned);
  const known = new Map<string, Promise<FactSet>>();
  return {
    name: 'majority',
    notes: [...majorities.values()].flatMap((found) => ('tie' in found && found.tie !== null ? [found.tie] : [])),
    factsFor: ({ shape }) => {
      const version = versionKey(shape);
      const found = majorities.get(version);
      if (found === undefined) return { why: `no tenant was scanned at ${describeVersion(shape)}`, hint };
      if ('why' in found) return { why: found.why, hint };
      const key = `majority ${version} ${found.shape}`;
      const facts = () => {
        const reading = known.get(key) ?? readFirst(found.tenants, read);
        known.set(key, reading);
        return reading;
      };
      return { key, facts };
    },
  };
}

/**
 * The commonest structure first, then the commonest shape of that structure: tenants that differ in the order of their
 * columns alone must not lose the vote to a smaller number that agree in everything.
 */
function findMajority(scanned: readonly ScannedTenant[]): Majority | NoMajority {
  const [first] = scanned;
  if (first === undefined) return { why: 'no tenant was scanned' };
  const version = describeVersion(first.shape);
  if (scanned.length === 1) return { why: `${first.tenant.id} is the only tenant at ${version}` };
  const [structure, nextStructure] = rank(scanned, ({ structure: key }) => key);
  if (structure === undefined || structure.length < 2) {
    return { why: `no two of the ${plural(scanned.length, 'tenant')} at ${version} are alike` };
  }
  const [shape = structure, nextShape] = rank(structure, ({ shape: key }) => key);
  const tiedWith = [
    { winner: structure, next: nextStructure, what: 'structures' },
    { winner: shape, next: nextShape, what: 'shapes' },
  ].find(({ winner, next }) => next?.length === winner.length);
  return {
    shape: shape[0]!.shape.shape,
    tenants: shape.map(({ tenant }) => tenant),
    tie:
      tiedWith === undefined
        ? null
        : `at ${version} two ${tiedWith.what} are equally common (${plural(tiedWith.winner.length, 'tenant')} each): ` +
          `the one of ${shape[0]!.tenant.id} counts, the first by id`,
  };
}

/** Groups, the largest first; of two that are as large, the one with the first id. Each is sorted by id. */
function rank(scanned: readonly ScannedTenant[], keyOf: (shape: TenantShape) => string): ScannedTenant[][] {
  const sorted = scanned.toSorted((a, b) => (a.tenant.id < b.tenant.id ? -1 : 1));
  // The groups come in the order of their first ids, and the sort keeps it.
  return [...Map.groupBy(sorted, ({ shape }) => keyOf(shape)).values()].sort((a, b) => b.length - a.length);
}

export function describeVersion({ version, major }: Pick<TenantShape, 'version' | 'major'>): string {
  return `${version ?? 'no migration'} on PostgreSQL ${major}`;
}

/** One that is locked or gone by now has others that look the same. */
const mostReaders = 5;

async function readFirst(tenants: readonly Tenant[], read: (tenant: Tenant) => Promise<FactSet>): Promise<FactSet> {
  let lastError: unknown;
  for (const tenant of tenants.slice(0, mostReaders)) {
    try {
      return await read(tenant);
    } catch (error) {
      lastError = error;
    }
  }
  throw lastError;
}

import type { Tenant } from '../fleet/tenant.ts';
import { plural } from '../words.ts';
import { withEvidence } from './by-chance.ts';
import type { FactSet, TenantShape } from './fact.ts';
import type { ScannedTenant } from './group.ts';
import { findNearest, mostCompared } from './nearest.ts';
import type { Held, NotHeld, Reference } from './reference.ts';

/** Whose majority it is, and who is held to it. */
export interface Electorate {
  /** All tenants of the fleet that could be read. */
  readonly voters: readonly ScannedTenant[];
  /** Those that an answer is wanted for. */
  readonly held: readonly ScannedTenant[];
}

type ReadFacts = (tenant: Tenant) => Promise<FactSet>;

const hint = 'hold them to what the migrations build: --against migrations';

/**
 * Each tenant held to the commonest shape of its version; `read` reads all facts of a tenant. Where no two of a version
 * are alike, to the one that differs least from the others. Who is alone at its version is held to nothing.
 */
export async function majorityReference({ voters, held }: Electorate, read: ReadFacts): Promise<Reference> {
  const wanted = new Set(held.map(({ shape }) => versionKey(shape)));
  const found = new Map<string, Held | NotHeld>();
  for (const [key, tenants] of Map.groupBy(voters, ({ shape }) => versionKey(shape))) {
    if (wanted.has(key)) found.set(key, await findMajority(key, tenants, read));
  }
  return {
    name: 'majority',
    notes: [...found.values()].flatMap((each) => ('doubt' in each ? (each.doubt ?? []) : [])),
    factsFor: ({ shape }) => {
      return found.get(versionKey(shape)) ?? { why: `no tenant was scanned at ${describeVersion(shape)}`, hint };
    },
  };
}

/** Facts of two majors are never compared, and a pending migration is no drift. */
function versionKey({ major, version }: TenantShape): string {
  return JSON.stringify([major, version]);
}

/**
 * The commonest structure first, then the commonest shape of that structure: tenants that differ in the order of their
 * columns alone must not lose the vote to a smaller number that agree in everything.
 */
async function findMajority(
  version: string,
  scanned: readonly ScannedTenant[],
  read: ReadFacts,
): Promise<Held | NotHeld> {
  const [structure = [], nextStructure] = rank(scanned, ({ structure: key }) => key);
  if (scanned.length === 1) return { why: `alone at ${describeVersion(scanned[0]!.shape)}`, hint, isAlone: true };
  if (structure.length < 2) return holdToNearest(version, scanned, read);
  const [shape = structure, nextShape] = rank(structure, ({ shape: key }) => key);
  const [first] = shape;
  if (first === undefined) throw new Error('a majority of nobody');
  const tiedWith = [
    { winner: structure, next: nextStructure, what: 'structures' },
    { winner: shape, next: nextShape, what: 'shapes' },
  ].find(({ winner, next }) => next?.length === winner.length);
  const alike = shape.map(({ tenant }) => tenant);
  const facts = once(async () => withEvidence(await readFirst(alike, read), alike));
  const key = `majority ${version} ${first.shape.shape}`;
  if (tiedWith === undefined) return { key, facts };
  const doubt =
    `at ${describeVersion(first.shape)} two ${tiedWith.what} are equally common ` +
    `(${plural(tiedWith.winner.length, 'tenant')} each): the one of ${first.tenant.id} counts, the first by id`;
  return { key, facts, doubt };
}

async function holdToNearest(version: string, scanned: readonly ScannedTenant[], read: ReadFacts): Promise<Held> {
  const key = `majority ${version} nearest`;
  const tenants = scanned.map(({ tenant }) => tenant);
  try {
    const { tenant, facts } = await findNearest(tenants, read);
    const where = describeVersion(scanned[0]!.shape);
    const others = tenants.length > mostCompared ? `the first ${mostCompared} by id` : 'the others';
    const doubt =
      `at ${where} no two of ${tenants.length} tenants are alike: ` +
      `all are held to ${tenant.id}, which differs least from ${others}`;
    return { key, facts: async () => facts, doubt };
  } catch (error) {
    // Whoever is compared with it says why it could not be read.
    return { key, facts: () => Promise.reject(error) };
  }
}

/** Groups, the largest first; of two that are as large, the one with the first id. Each is sorted by id. */
function rank(scanned: readonly ScannedTenant[], keyOf: (shape: TenantShape) => string): ScannedTenant[][] {
  const sorted = scanned.toSorted((a, b) => (a.tenant.id < b.tenant.id ? -1 : 1));
  // The groups come in the order of their first ids, and the sort keeps it.
  return [...Map.groupBy(sorted, ({ shape }) => keyOf(shape)).values()].sort((a, b) => b.length - a.length);
}

function describeVersion({ version, major }: TenantShape): string {
  return `${version === null ? 'no migration' : `version ${version}`} on PostgreSQL ${major}`;
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    made ??= make();
    return made;
  };
}

/** One that is locked or gone by now has others that look the same. */
const mostReaders = 5;

async function readFirst(tenants: readonly Tenant[], read: ReadFacts): Promise<FactSet> {
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

import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { compareFacts, type Difference } from '../../src/drift/compare.ts';
import { factGroups } from '../../src/drift/facts/groups.ts';
import { asSuperuser, createTestDatabase } from '../support/database.ts';
import { connectSession } from '../support/sessions.ts';
import { prepareDatabase } from './planted-base.ts';
import { readTenant } from './read-tenant.ts';

const db = await createTestDatabase();
const other = `${db.name}_other`;
// The database goes first: what is left of the role's goes with it.
await asSuperuser((admin) => admin.query(`create role ${other}`));

/** A difference as the file writes it. */
function seen({ kind, name, change, class: worst, attributes }: Difference): string {
  const what = attributes.map((attribute) => `${attribute.name} ${attribute.class}`).join(', ');
  return `${kind} ${name}: ${change === 'changed' ? what : `${change} ${worst}`}`.replaceAll(other, 'OTHER');
}

interface Plant {
  readonly statement: string;
  readonly seen: readonly string[];
}

/** Those of the file that a server of this version understands. */
function readPlants(major: number): readonly Plant[] {
  const text = readFileSync(new URL('plants.txt', import.meta.url), 'utf8').replaceAll(/^#.*\n/gm, '');
  return text
    .trim()
    .split(/\n(?! )/)
    .flatMap((block) => {
      const [first = '', ...lines] = block.split('\n');
      const [, from = '0', to = '99', statement = first] = /^\[(\d+)-(\d*)\] (.*)$/.exec(first) ?? [];
      if (major < Number(from) || major > Number(to || '99')) return [];
      return [{ statement, seen: lines.map((line) => line.trim()) }];
    });
}

const session = await connectSession(db.name);
afterAll(() => session.end());
await prepareDatabase(session, ['tenant_1', 'tenant_2'], other);
const reference = await readTenant(session, 'tenant_1');
const { major } = reference.facts;
const plants = readPlants(major);
const covered = new Set<string>();

/** What no plant can show: a fact that is always there, a definition that is the name, a name without its object. */
const notPlanted = new Set([
  'schema',
  'sequence name',
  'constraint name',
  'constraint: definition',
  'domain constraint: definition',
  // What an older server does not have.
  ...(major < 15 ? ['view: security invoker', 'collation: locale'] : []),
  ...(major < 16 ? ['collation: rules'] : []),
]);

/** So many that each test stays short. */
const plantsPerTest = 40;
const parts = Array.from({ length: Math.ceil(plants.length / plantsPerTest) }, (_, index) => ({
  part: index + 1,
  some: plants.slice(index * plantsPerTest, (index + 1) * plantsPerTest),
}));

describe('no miss', () => {
  it('begins with equal tenants', async () => {
    const { facts, shape } = await readTenant(session, 'tenant_2');
    expect(compareFacts(reference.facts, facts)).toEqual([]);
    expect(shape).toEqual(reference.shape);
    expect(shape.unmodelled).toEqual([]);
  });

  it.each(parts)('sees each planted difference, exactly it, in facts and in sums: part $part', async ({ some }) => {
    for (const plant of some) {
      const planted = plant.statement.replaceAll('OTHER', other).replaceAll('SCHEMA', 'tenant_2');
      const { facts, shape } = await readTenant(session, 'tenant_2', { planted });
      const differences = compareFacts(reference.facts, facts);
      expect.soft(differences.map(seen), plant.statement).toEqual(plant.seen);
      expect.soft(shape.shape, plant.statement).not.toBe(reference.shape.shape);
      const isCosmetic = plant.seen.every((line) => line.endsWith('cosmetic'));
      expect.soft(shape.structure === reference.shape.structure, plant.statement).toBe(isCosmetic);
      for (const { kind, change, attributes } of differences) {
        if (change !== 'changed') covered.add(kind);
        for (const { name } of attributes) covered.add(`${kind}: ${name}`);
      }
    }
  });

  it('has a plant for each kind and attribute', () => {
    const missed = factGroups(major)
      .flatMap(({ kinds }) => kinds)
      .flatMap(({ kind, attributes }) => [kind, ...Object.keys(attributes).map((name) => `${kind}: ${name}`)])
      .filter((each) => !covered.has(each) && !notPlanted.has(each));
    expect([...new Set(missed)]).toEqual([]);
  });
});

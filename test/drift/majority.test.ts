import { describe, expect, it } from 'vitest';
import type { FactSet } from '../../src/drift/fact.ts';
import type { ScannedTenant } from '../../src/drift/group.ts';
import { majorityReference as makeReference } from '../../src/drift/majority.ts';
import type { Reference } from '../../src/drift/reference.ts';
import type { Tenant } from '../../src/fleet/tenant.ts';
import { fact, factSet } from '../support/facts.ts';

/** `a:2/s1/c1@15`: tenant, version, structure and cosmetics, major. */
function scan(spec: string): ScannedTenant[] {
  return spec.split(' ').map((each) => {
    const [, id = '', version = '', structure = '', looks = '', major = '15'] =
      /^(\w+):(\w*)\/(\w+)(?:\/(\w+))?(?:@(\d+))?$/.exec(each) ?? [];
    const tenant = { id, server: 'main', database: 'db', schema: id, labels: {}, searchPath: [id], role: null };
    const shape = { structure, shape: `${structure}/${looks}`, version: version || null, major: Number(major) };
    return { tenant, shape: { ...shape, facts: 1, unmodelled: [] } };
  });
}

/** Reads a tenant's facts as a set that only says whose they are. */
function reader(broken: readonly string[] = []) {
  const read: string[] = [];
  return {
    read,
    facts: async ({ id }: Tenant): Promise<FactSet> => {
      read.push(id);
      if (broken.includes(id)) throw new Error(`${id} is locked`);
      return { major: 15, facts: new Map(), unmodelled: [], templated: [id] };
    },
  };
}

/** All of them vote, and all are held to the answer. */
function majorityReference(scanned: readonly ScannedTenant[], read: (tenant: Tenant) => Promise<FactSet>) {
  return makeReference({ voters: scanned, held: scanned }, read);
}

async function heldTo(reference: Reference, scanned: readonly ScannedTenant[], id: string): Promise<string> {
  const found = reference.factsFor(scanned.find(({ tenant }) => tenant.id === id)!);
  if ('why' in found) return `none: ${found.why}`;
  return (await found.facts()).templated[0] ?? '';
}

describe('the majority', () => {
  it('is the commonest shape of a version', async () => {
    const scanned = scan('a:1/odd b:1/plain c:1/plain d:2/new e:2/new f:2/odd');
    const { facts } = reader();
    const reference = await majorityReference(scanned, facts);
    expect(await heldTo(reference, scanned, 'a')).toBe('b');
    expect(await heldTo(reference, scanned, 'c')).toBe('b');
    expect(await heldTo(reference, scanned, 'f')).toBe('d');
    expect(reference.notes).toEqual([]);
  });

  it('is not sought across majors, and a version of null is one', async () => {
    const scanned = scan('a:/x b:/x c:/y@16 d:/y@16 e:/x@16');
    const reference = await majorityReference(scanned, reader().facts);
    expect(await heldTo(reference, scanned, 'e')).toBe('c');
    expect(await heldTo(reference, scanned, 'a')).toBe('a');
  });

  it('counts structures first: those that differ in looks alone vote together', async () => {
    const scanned = scan('a:1/s/1 b:1/s/1 c:1/s/2 d:1/s/3 e:1/t/1 f:1/t/1 g:1/t/1');
    const reference = await majorityReference(scanned, reader().facts);
    expect(await heldTo(reference, scanned, 'g')).toBe('a');
    expect(reference.notes).toEqual([]);
  });

  it('breaks a tie by the first id, whatever the order of selection, and says so', async () => {
    const scanned = scan('d:1/y b:1/x c:1/x a:1/y');
    const reference = await majorityReference(scanned, reader().facts);
    expect(await heldTo(reference, scanned, 'b')).toBe('a');
    expect(reference.notes).toEqual([
      'at version 1 on PostgreSQL 15 two structures are equally common (2 tenants each): the one of a counts, the first by id',
    ]);
    const looks = scan('b:1/s/1 a:1/s/2');
    expect((await majorityReference(looks, reader().facts)).notes).toEqual([
      'at version 1 on PostgreSQL 15 two shapes are equally common (1 tenant each): the one of a counts, the first by id',
    ]);
  });

  it('is none where a tenant is alone, whatever others look like at other versions', async () => {
    const scanned = scan('a:1/x b:2/x c:2/x e:/x');
    const reference = await majorityReference(scanned, reader().facts);
    expect(await heldTo(reference, scanned, 'a')).toBe('none: alone at version 1 on PostgreSQL 15');
    expect(await heldTo(reference, scanned, 'e')).toBe('none: alone at no migration on PostgreSQL 15');
    const hint = expect.stringContaining('--against migrations');
    expect(reference.factsFor(scanned[0]!)).toMatchObject({ isAlone: true, hint });
    expect(reference.notes).toEqual([]);
  });

  it('is that of all who vote, for those who are held to it', async () => {
    const voters = scan('a:1/x b:1/x c:1/odd d:1/odd e:1/x f:2/x g:2/y');
    const held = voters.filter(({ tenant }) => ['c', 'd'].includes(tenant.id));
    const { read, facts } = reader();
    const reference = await makeReference({ voters, held }, facts);
    expect(await heldTo(reference, held, 'd')).toBe('a');
    // Nobody asked about the other version, where no two are alike.
    expect([read, reference.notes]).toEqual([['a'], []]);
  });

  it('casts doubt on what others could replace with the same right, and on nothing else', async () => {
    const scanned = scan('a:1/x b:1/y c:2/x d:2/x e:2/y');
    const reference = await majorityReference(scanned, reader().facts);
    const doubtOf = (at: number) => {
      const held = reference.factsFor(scanned[at]!);
      return 'key' in held ? held.doubt : null;
    };
    expect([doubtOf(0), doubtOf(4)]).toEqual([reference.notes[0], undefined]);
  });

  it('is read once, from another one where the first cannot be read', async () => {
    const scanned = scan('a:1/x b:1/x c:1/x');
    const { read, facts } = reader(['a']);
    const reference = await majorityReference(scanned, facts);
    expect(await heldTo(reference, scanned, 'c')).toBe('b');
    expect(await heldTo(reference, scanned, 'a')).toBe('b');
    expect(read).toEqual(['a', 'b']);
    const allBroken = await majorityReference(scanned, reader(['a', 'b', 'c']).facts);
    await expect(heldTo(allBroken, scanned, 'a')).rejects.toThrow('c is locked');
  });

  it('has one key for those that are held to the same', async () => {
    const scanned = scan('a:1/x b:1/x c:1/y d:2/x e:2/x');
    const reference = await majorityReference(scanned, reader().facts);
    const keys = scanned.map((each) => {
      const found = reference.factsFor(each);
      return 'key' in found ? found.key : null;
    });
    expect(new Set(keys).size).toBe(2);
    expect(keys[0]).toBe(keys[2]);
    expect(keys[3]).not.toBe(keys[0]);
  });
});

describe('where no two are alike', () => {
  /** Tenants by id, each with tables of these names. */
  const schemas: Readonly<Record<string, string>> = { d: 'xy', a: 'x', b: 'xyz', c: 'xyzw' };
  const scanned = scan('d:1/d a:1/a b:1/b c:1/c');
  const readFacts = async ({ id }: Tenant) =>
    factSet(
      [...(schemas[id] ?? '')].map((name) => fact('table', name)),
      { templated: [id] },
    );

  it('it is the one that differs least from the others, the first by id of equals', async () => {
    // a: 1+2+3, b: 1+2+1, c: 2+3+1, d: 1+1+2
    const reference = await majorityReference(scanned, readFacts);
    expect(await heldTo(reference, scanned, 'a')).toBe('b');
    expect(reference.notes).toEqual([
      'at version 1 on PostgreSQL 15 no two of 4 tenants are alike: all are held to b, which differs least from the others',
    ]);
    expect(reference.factsFor(scanned[0]!)).toHaveProperty('doubt', reference.notes[0]);
  });

  it('leaves out who cannot be read, and says why when nobody can', async () => {
    const broken = async (tenant: Tenant) => {
      if (tenant.id === 'b') throw new Error('b is locked');
      return readFacts(tenant);
    };
    expect(await heldTo(await majorityReference(scanned, broken), scanned, 'a')).toBe('d');
    const none = await majorityReference(scanned, reader(['a', 'b', 'c', 'd']).facts);
    await expect(heldTo(none, scanned, 'a')).rejects.toThrow('d is locked');
    expect(none.notes).toEqual([]);
  });

  it('reads no more than twenty in full', async () => {
    const many = scan(Array.from({ length: 30 }, (_, at) => `t${at + 10}:1/s${at}`).join(' '));
    const { read, facts } = reader();
    const reference = await majorityReference(many, facts);
    expect(read).toHaveLength(20);
    expect(reference.notes[0]).toContain('no two of 30 tenants are alike: all are held to t10');
    expect(reference.notes[0]).toContain('the first 20 by id');
  });
});

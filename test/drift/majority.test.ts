import { describe, expect, it } from 'vitest';
import type { FactSet } from '../../src/drift/fact.ts';
import type { ScannedTenant } from '../../src/drift/group.ts';
import { majorityReference } from '../../src/drift/majority.ts';
import type { Reference } from '../../src/drift/reference.ts';
import type { Tenant } from '../../src/fleet/tenant.ts';

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

async function heldTo(reference: Reference, scanned: readonly ScannedTenant[], id: string): Promise<string> {
  const found = reference.factsFor(scanned.find(({ tenant }) => tenant.id === id)!);
  if ('why' in found) return `none: ${found.why}`;
  return (await found.facts()).templated[0] ?? '';
}

describe('the majority', () => {
  it('is the commonest shape of a version', async () => {
    const scanned = scan('a:1/odd b:1/plain c:1/plain d:2/new e:2/new f:2/odd');
    const { facts } = reader();
    const reference = majorityReference(scanned, facts);
    expect(await heldTo(reference, scanned, 'a')).toBe('b');
    expect(await heldTo(reference, scanned, 'c')).toBe('b');
    expect(await heldTo(reference, scanned, 'f')).toBe('d');
    expect(reference.notes).toEqual([]);
  });

  it('is not sought across majors, and a version of null is one', async () => {
    const scanned = scan('a:/x b:/x c:/y@16 d:/y@16 e:/x@16');
    const reference = majorityReference(scanned, reader().facts);
    expect(await heldTo(reference, scanned, 'e')).toBe('c');
    expect(await heldTo(reference, scanned, 'a')).toBe('a');
  });

  it('counts structures first: those that differ in looks alone vote together', async () => {
    const scanned = scan('a:1/s/1 b:1/s/1 c:1/s/2 d:1/s/3 e:1/t/1 f:1/t/1 g:1/t/1');
    const reference = majorityReference(scanned, reader().facts);
    expect(await heldTo(reference, scanned, 'g')).toBe('a');
    expect(reference.notes).toEqual([]);
  });

  it('breaks a tie by the first id, whatever the order of selection, and says so', async () => {
    const scanned = scan('d:1/y b:1/x c:1/x a:1/y');
    const reference = majorityReference(scanned, reader().facts);
    expect(await heldTo(reference, scanned, 'b')).toBe('a');
    expect(reference.notes).toEqual([
      'at 1 on PostgreSQL 15 two structures are equally common (2 tenants each): the one of a counts, the first by id',
    ]);
    const looks = scan('b:1/s/1 a:1/s/2');
    expect(majorityReference(looks, reader().facts).notes).toEqual([
      'at 1 on PostgreSQL 15 two shapes are equally common (1 tenant each): the one of a counts, the first by id',
    ]);
  });

  it('is none where a tenant is alone, or all differ', async () => {
    const scanned = scan('a:1/x b:2/x c:2/y d:2/z e:/x');
    const reference = majorityReference(scanned, reader().facts);
    expect(await heldTo(reference, scanned, 'a')).toBe('none: a is the only tenant at 1 on PostgreSQL 15');
    expect(await heldTo(reference, scanned, 'c')).toBe('none: no two of the 3 tenants at 2 on PostgreSQL 15 are alike');
    expect(await heldTo(reference, scanned, 'e')).toBe('none: e is the only tenant at no migration on PostgreSQL 15');
    expect(reference.factsFor(scanned[0]!)).toHaveProperty('hint', expect.stringContaining('--against migrations'));
  });

  it('is read once, from another one where the first cannot be read', async () => {
    const scanned = scan('a:1/x b:1/x c:1/x');
    const { read, facts } = reader(['a']);
    const reference = majorityReference(scanned, facts);
    expect(await heldTo(reference, scanned, 'c')).toBe('b');
    expect(await heldTo(reference, scanned, 'a')).toBe('b');
    expect(read).toEqual(['a', 'b']);
    const allBroken = majorityReference(scanned, reader(['a', 'b', 'c']).facts);
    await expect(heldTo(allBroken, scanned, 'a')).rejects.toThrow('c is locked');
  });

  it('has one key for those that are held to the same', () => {
    const scanned = scan('a:1/x b:1/x c:1/y d:2/x e:2/x');
    const reference = majorityReference(scanned, reader().facts);
    const keys = scanned.map((each) => {
      const found = reference.factsFor(each);
      return 'key' in found ? found.key : null;
    });
    expect(new Set(keys).size).toBe(2);
    expect(keys[0]).toBe(keys[2]);
    expect(keys[3]).not.toBe(keys[0]);
  });
});

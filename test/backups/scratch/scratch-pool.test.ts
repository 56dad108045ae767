import { describe, expect, it } from 'vitest';
import type { BackupManifest } from '../../../src/backups/repository/manifest.ts';
import type { ScratchServer } from '../../../src/backups/scratch/scratch.ts';
import { type ScratchPlace, ScratchPool } from '../../../src/backups/scratch/scratch-pool.ts';

/** A server that only remembers what was asked of it. */
function makePool(prepare: () => Promise<void> = async () => {}) {
  const made: string[] = [];
  const dropped: string[] = [];
  const server: ScratchServer = {
    name: 'test',
    major: 15,
    version: '15.1',
    isTemporary: true,
    createDatabase: async () => {
      const name = `s${made.length + 1}`;
      made.push(name);
      const connect = async () => Promise.reject(new Error('nobody connects'));
      return { name, server, connect, env: {}, drop: async () => void dropped.push(name) };
    },
    close: async () => {},
  };
  const pool = new ScratchPool(server, async () => {
    await prepare();
    return { lacking: [], restoreArgs: [] };
  });
  return { pool, made, dropped };
}

function manifest(schema: string | null, shared: string | null = 'k'): BackupManifest {
  const needs = { shared, rolesFile: null, largeObjects: null, extensions: [], roles: [] };
  return { place: { server: 'main', database: 'saas', schema }, needs } as unknown as BackupManifest;
}

const together = { alone: false };
const nameOf = async ({ database }: ScratchPlace) => database.name;

describe('scratch databases', () => {
  it('are shared by schemas that go with one shared archive', async () => {
    const { pool, made } = makePool();
    const uses = [manifest('a'), manifest('b'), manifest('c', 'other')].map((it) => pool.use(it, together, nameOf));
    expect(await Promise.all(uses)).toEqual(['s1', 's1', 's2']);
    expect(await pool.use(manifest('d'), together, nameOf)).toBe('s1');
    expect(made).toEqual(['s1', 's2']);
  });

  it('are of one tenant that was a whole database, or that must stand alone', async () => {
    const { pool, dropped } = makePool();
    expect(await pool.use(manifest(null), together, nameOf)).toBe('s1');
    expect(await pool.use(manifest('a'), { alone: true }, nameOf)).toBe('s2');
    expect(dropped).toEqual(['s1', 's2']);
  });

  it('are not given to anybody once they are spoiled, and go with their last user', async () => {
    const { pool, dropped } = makePool();
    const gate = Promise.withResolvers<void>();
    const slow = pool.use(manifest('a'), together, () => gate.promise);
    await pool.use(manifest('b'), together, async (place) => place.spoil());
    expect(await pool.use(manifest('c'), together, nameOf)).toBe('s2');
    expect(dropped).toEqual([]);
    gate.resolve();
    await slow;
    expect(dropped).toEqual(['s1']);
  });

  it('are kept for a while, and not for ever', async () => {
    const { pool, dropped } = makePool();
    for (const shared of ['one', 'two', 'three', 'one']) await pool.use(manifest('a', shared), together, nameOf);
    expect(dropped).toEqual(['s1', 's2']);
  });

  it('are tried again when one could not be prepared', async () => {
    let tries = 0;
    const { pool, dropped } = makePool(async () => {
      tries += 1;
      if (tries === 1) throw new Error('no room');
    });
    await expect(pool.use(manifest('a'), together, nameOf)).rejects.toThrow('no room');
    expect(await pool.use(manifest('b'), together, nameOf)).toBe('s2');
    expect(dropped).toEqual(['s1']);
  });
});

import { chmod, link, mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FolderStore } from '../../../src/backups/repository/folder-store.ts';
import type { StoredFile } from '../../../src/backups/repository/store.ts';
import { closedFolder } from '../../support/folders.ts';
import { bytesOf, readAll } from '../../support/sample-backup.ts';

async function keysOf(store: FolderStore, prefix = ''): Promise<readonly string[]> {
  const files: StoredFile[] = [];
  for await (const file of store.list(prefix)) files.push(file);
  return files.map(({ key }) => key);
}

test('what is put is there whole, for its owner and group, and for nobody to write to', async () => {
  const root = join(await closedFolder(), 'not', 'there', 'yet');
  const store = new FolderStore(root);
  await store.put('acme/a.dump', bytesOf('an archive'));
  await store.put('acme/a.pin.json', bytesOf('a pin'));
  expect(await readFile(join(root, 'acme', 'a.dump'), 'utf8')).toBe('an archive');
  expect((await readAll((await store.read('acme/a.dump'))!)).toString()).toBe('an archive');
  const modeOf = async (name: string) => ((await stat(join(root, name))).mode & 0o777).toString(8);
  expect([await modeOf('acme'), await modeOf('acme/a.dump'), await modeOf('acme/a.pin.json')]).toEqual([
    '750',
    '440',
    '640',
  ]);
  expect(await store.read('acme/b.dump')).toBeNull();
  expect(await store.readSmall('acme/b.dump')).toBeNull();
  expect(await readdir(join(root, 'acme'))).toEqual(['a.dump', 'a.pin.json']);
});

test('a spooled file is moved in the same folder, and copied from elsewhere or when it is not ours', async () => {
  const root = await closedFolder();
  const store = new FolderStore(root);
  const folder = await store.spoolFolder('acme/a.dump');
  const spooled = async (path: string, isOurs: boolean) => {
    await writeFile(path, 'an archive');
    const { ino } = await stat(path);
    return { ino, content: { kind: 'file', sizeBytes: 10, path, isOurs } as const };
  };
  const here = await spooled(join(folder, 'a.dump.x.partial'), true);
  await store.put('acme/a.dump', here.content);
  expect((await stat(join(folder, 'a.dump'))).ino).toBe(here.ino);
  const lent = await spooled(join(folder, 'b.dump.x.partial'), false);
  await store.put('acme/b.dump', lent.content);
  expect((await stat(join(folder, 'b.dump'))).ino).not.toBe(lent.ino);
  const elsewhere = await spooled(join(await closedFolder(), 'c'), true);
  await store.put('acme/c.dump', elsewhere.content);
  expect(await readdir(folder)).toEqual(['a.dump', 'b.dump', 'b.dump.x.partial', 'c.dump']);
});

test('nothing is written over, also when two come to it at once', async () => {
  const root = await closedFolder();
  const store = new FolderStore(root);
  const puts = ['one', 'two', 'six'].map((text) => store.put('acme/a.dump', bytesOf(text)).then(() => text));
  const results = await Promise.allSettled(puts);
  const done = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  expect(done).toHaveLength(1);
  expect(await readFile(join(root, 'acme', 'a.dump'), 'utf8')).toBe(done[0]);
  expect(await readdir(join(root, 'acme'))).toEqual(['a.dump']);
  await expect(store.put('acme/a.dump', bytesOf('late'))).rejects.toMatchObject({
    failure: { message: `${join(root, 'acme', 'a.dump')} cannot be written: it is there already`, code: 'store' },
  });
  await store.put('acme/a.verified.json', bytesOf('1'));
  await store.put('acme/a.verified.json', bytesOf('2'));
  expect(await readFile(join(root, 'acme', 'a.verified.json'), 'utf8')).toBe('2');
});

test('a write that fails leaves what was there, and no part of its own', async () => {
  const root = await closedFolder();
  const store = new FolderStore(root);
  await store.put('acme/a.dump', bytesOf('good'));
  const short = { kind: 'bytes', sizeBytes: 5, chunks: [Buffer.from('abc')] } as const;
  await expect(store.put('acme/b.dump', short)).rejects.toThrow('3 bytes came, not 5');
  const missing = { kind: 'file', sizeBytes: 5, path: join(root, 'nope'), isOurs: false } as const;
  await expect(store.put('acme/b.dump', missing)).rejects.toMatchObject({ failure: { code: 'store' } });
  await writeFile(join(root, 'file'), '');
  await expect(store.put('file/b.dump', bytesOf('x'))).rejects.toThrow(
    `${join(root, 'file', 'b.dump')} cannot be written`,
  );
  const stop = AbortSignal.abort(new Error('stopped'));
  await expect(store.put('acme/b.dump', bytesOf('x'), stop)).rejects.toThrow('stopped');
  expect(await readdir(join(root, 'acme'))).toEqual(['a.dump']);
});

test('a listing is in the order of keys, without what is being written and what is not ours', async () => {
  const root = await closedFolder();
  const store = new FolderStore(root);
  const keys = ['a-b/1.dump', 'a.b/1.dump', 'a/1.dump', 'a/2.dump', '_shared/main/saas/1.dump', '%41/1.dump'];
  for (const key of keys) await store.put(key, bytesOf(key));
  await writeFile(join(root, 'a', '3.dump.0a1b.partial'), 'half');
  await mkdir(join(root, 'lost+found'), { mode: 0 });
  await mkdir(join(root, '.snapshot'), { mode: 0 });
  await link(join(root, 'a', '1.dump'), join(root, 'a', '.nfs0001'));
  expect(await keysOf(store)).toEqual(keys.toSorted());
  expect(await keysOf(store, 'a/')).toEqual(['a/1.dump', 'a/2.dump']);
  expect(await keysOf(store, 'a/2')).toEqual(['a/2.dump']);
  expect(await keysOf(store, 'nobody/')).toEqual([]);
  expect(await keysOf(new FolderStore(join(root, 'nope')))).toEqual([]);
});

test('removing is no error where nothing is; leftovers of killed runs go when they are old', async () => {
  const root = await closedFolder();
  const store = new FolderStore(root);
  await store.put('acme/a.dump', bytesOf('x'));
  const [old, fresh] = ['acme/b.dump.00.partial', 'acme/c.dump.00.partial'];
  for (const key of [old, fresh]) await writeFile(store.localPath(key), 'half', { mode: 0o440 });
  await utimes(store.localPath(old), new Date('2026-01-01'), new Date('2026-01-01'));
  await utimes(store.localPath('acme/a.dump'), new Date('2026-01-01'), new Date('2026-01-01'));
  expect(await store.removeLeftovers(new Date('2026-02-01'))).toEqual([old]);
  expect(await readdir(join(root, 'acme'))).toEqual(['a.dump', 'c.dump.00.partial']);
  await store.remove(['acme/a.dump', 'acme/z.dump', 'nobody/a.dump']);
  expect(await keysOf(store)).toEqual([]);
});

test('a folder that cannot be read is no empty one', async ({ skip }) => {
  const root = await closedFolder();
  const store = new FolderStore(root);
  await store.put('acme/a.dump', bytesOf('x'));
  await chmod(join(root, 'acme'), 0);
  const isRoot = await readdir(join(root, 'acme')).then(
    () => true,
    () => false,
  );
  if (isRoot) {
    await chmod(join(root, 'acme'), 0o700);
    return skip('the user of the tests may read everything');
  }
  const listed = keysOf(store);
  await expect(listed).rejects.toMatchObject({ failure: { code: 'store', hint: expect.any(String) } });
  await chmod(join(root, 'acme'), 0o700);
});

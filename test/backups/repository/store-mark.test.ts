import { join } from 'node:path';
import { expect, it } from 'vitest';
import { textContent } from '../../../src/backups/repository/content.ts';
import { FolderStore } from '../../../src/backups/repository/folder-store.ts';
import { markedStore, readStoreOwner } from '../../../src/backups/repository/store-mark.ts';
import { closedFolder } from '../../support/folders.ts';

const now = () => new Date('2026-11-22T10:15:00Z');

it('of two environments whose first dumps come at once, one gets the store', async () => {
  const root = join(await closedFolder(), 'backups');
  const put = (environment: string) =>
    markedStore(new FolderStore(root), environment, now).put(`${environment}/x.dump`, textContent('x'));
  const settled = await Promise.allSettled(['production', 'staging', 'production'].map(put));
  const store = new FolderStore(root);
  const { environment } = await readStoreOwner(store);
  const files: string[] = [];
  for await (const { key } of store.list('')) files.push(key);
  expect(files).toContain('_store.json');
  expect(files.filter((key) => key.endsWith('.dump')).every((key) => key.startsWith(`${environment}/`))).toBe(true);
  const lost = settled.flatMap((each) => (each.status === 'rejected' ? [(each.reason as Error).message] : []));
  expect(lost).toContain(`${root} has become the store of environment ${environment} meanwhile`);
});

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FolderStore } from '../../../src/backups/repository/folder-store.ts';
import { Repository } from '../../../src/backups/repository/repository.ts';
import { closedFolder } from '../../support/folders.ts';
import { putBackup, tenant } from '../../support/sample-backup.ts';

const takenAt = '2026-11-22T10:15:00.123Z';
const receipt = { schema: 'tenantctl-receipt/1', rows: [{ table: 'users', rows: 3 }] };

async function openTwo() {
  const [folder, second] = [await closedFolder(), await closedFolder()];
  const repository = new Repository({
    ...{ store: new FolderStore(folder), copy: new FolderStore(second), recipients: [], identities: null },
    now: () => new Date('2026-11-23T00:00:00Z'),
  });
  const backup = await putBackup(repository, tenant('acme'), takenAt);
  const file = (root: string) => join(root, 'acme', '2026-11-22T101500.123Z.receipt.json');
  const receiptOf = async () => (await repository.listBackups()).map((listed) => listed.receipt);
  return { repository, backup, receiptOf, file: file(folder), copy: file(second) };
}

test('a receipt stands beside the archive in both places, lives until it is ended, and says what it was given', async () => {
  const { repository, backup, receiptOf, file, copy } = await openTwo();
  expect(await receiptOf()).toEqual([null]);
  await repository.putReceipt(backup, receipt);
  expect(await receiptOf()).toEqual([{ living: true }]);
  await repository.endReceipt(backup);
  expect(await receiptOf()).toEqual([{ living: false }]);
  const text = await readFile(file, 'utf8');
  expect(JSON.parse(text)).toMatchObject({ wokenAt: '2026-11-23T00:00:00.000Z', receipt });
  expect(await readFile(copy, 'utf8')).toBe(text);
  // It went to sleep once more on the same backup.
  await repository.putReceipt(backup, receipt);
  expect(await receiptOf()).toEqual([{ living: true }]);
});

test('without a receipt there is nothing to end', async () => {
  const { repository, backup, receiptOf } = await openTwo();
  await repository.endReceipt(backup);
  expect(await receiptOf()).toEqual([null]);
});

test('one that cannot be read counts as living, and is read from its name when manifests are left out', async () => {
  const { repository, backup, receiptOf, file } = await openTwo();
  await repository.putReceipt(backup, receipt);
  await repository.endReceipt(backup);
  await writeFile(file, (await readFile(file, 'utf8')).replace('2026-11-23', '2027-11-23'));
  expect(await receiptOf()).toEqual([{ living: true }]);
  const [named] = await repository.listBackups({ withManifests: false });
  expect(named?.receipt).toEqual({ living: true });
  await repository.endReceipt(backup);
  expect(await receiptOf()).toEqual([{ living: false }]);
});

test('it goes with its backup', async () => {
  const { repository, backup, file } = await openTwo();
  await repository.putReceipt(backup, receipt);
  await repository.removeBackups([backup]);
  await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await repository.listBackups()).toEqual([]);
});

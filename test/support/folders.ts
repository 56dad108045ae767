import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A temporary folder that every user may enter and write to; removed when the test ends. */
export async function openFolder(): Promise<string> {
  return makeFolder(0o777);
}

/** A temporary folder closed to everyone else, as `/root` is; removed when the test ends. */
export async function closedFolder(): Promise<string> {
  return makeFolder(0o700);
}

async function makeFolder(mode: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tenantctl-test-'));
  await chmod(folder, mode);
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

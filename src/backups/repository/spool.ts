import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Files on their way: made under names that no other process has, in a temporary folder that is closed to others where no better one is known. */
export class Spool {
  #temporary: Promise<string> | null = null;

  /** A path where nothing is yet. `folder`: where it should be; null: the temporary one. */
  async path(name: string, folder: string | null): Promise<string> {
    this.#temporary ??= folder === null ? mkdtemp(path.join(tmpdir(), 'tenantctl-')) : null;
    const where = folder ?? (await this.#temporary)!;
    return path.join(where, `${name}.${randomBytes(6).toString('hex')}.partial`);
  }

  /** Takes away the temporary folder, with what is still in it. */
  async close(): Promise<void> {
    const folder = await this.#temporary;
    this.#temporary = null;
    if (folder !== null) await rm(folder, { recursive: true, force: true });
  }
}

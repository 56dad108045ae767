import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../../../src/errors.ts';
import { type LoadedInventory, loadInventory } from '../../../src/fleet/inventory/load.ts';

type Options = Parameters<typeof loadInventory>[1];

/** Loads a text as `tenants.yaml` of an empty folder. */
export async function loadText(text: string | Uint8Array, options?: Options): Promise<LoadedInventory> {
  const folder = await mkdtemp(join(tmpdir(), 'tenantctl-inventory-'));
  try {
    const path = join(folder, 'tenants.yaml');
    await writeFile(path, text);
    return await loadInventory({ path, name: 'tenants.yaml' }, options);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The error of a text that must not load. */
export async function errorOf(text: string | Uint8Array, options?: Options): Promise<UsageError> {
  const result = await loadText(text, options).catch((error: unknown) => error);
  if (result instanceof UsageError) return result;
  throw new Error('expected a UsageError', { cause: result });
}

/** What is wrong with a text, a line each. */
export async function mistakesOf(text: string): Promise<readonly string[]> {
  return (await errorOf(text)).details;
}

/** A file with one server; tests add what they are about. */
export function withServer(rest: string): string {
  return `version: 1\nservers: { main: {} }\n${rest}`;
}

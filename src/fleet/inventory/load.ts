import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UsageError } from '../../errors.ts';
import { buildInventory, stateFolder } from './build.ts';
import type { CheckedCache } from './checked-cache.ts';
import type { RawInventory } from './file-schema.ts';
import type { FoundInventory } from './find.ts';
import { formatMistakes, formatPath, formatPosition, type Locate, type LocatedMistake, type Path } from './mistakes.ts';
import { holdsPassword } from './plain-password.ts';
import { asMapping, asText } from './raw.ts';
import type { Inventory } from './types.ts';

export interface LoadedInventory {
  readonly inventory: Inventory;
  /** What works but should be changed. */
  readonly warnings: readonly InventoryWarning[];
}

export interface InventoryWarning {
  readonly message: string;
  readonly hint: string;
}

/**
 * Reads and checks an inventory; all that is wrong with it comes as one UsageError with a line in `details` for each
 * mistake. `openCache` gives the cache of checked files in a state folder; a text that it knows is not checked again.
 */
export async function loadInventory(
  found: FoundInventory,
  options: { readonly openCache?: (state: string) => CheckedCache } = {},
): Promise<LoadedInventory> {
  const bytes = await readBytes(found);
  const text = decode(bytes, found.name);
  // Loaded here, so that commands without an inventory do not pay for yaml.
  const { parseYaml } = await import('./yaml-text.ts');
  const { raw, mistakes, locate } = parseYaml(text);
  if (raw === undefined) throw invalid(found.name, mistakes);

  const folder = dirname(found.path);
  const cache = options.openCache?.(stateFolder(asText(asMapping(raw)?.state) ?? undefined, folder));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (mistakes.length > 0 || cache?.alreadyValid(sha256) !== true) {
    const all = [...mistakes, ...(await checkRaw(raw, locate, found.name))];
    if (all.length > 0) throw invalid(found.name, all);
    cache?.remember(sha256);
  }
  const inventory = buildInventory(raw as RawInventory, { file: found.name, folder, locate });
  return { inventory, warnings: passwordWarnings(inventory, locate) };
}

async function readBytes(found: FoundInventory): Promise<Buffer> {
  try {
    return await readFile(found.path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    throw new UsageError(`cannot read the inventory ${found.name}${code}`, {
      hint: 'check the path and its permissions, or write an inventory with: tenantctl init',
      cause: error,
    });
  }
}

/** Bytes that are no UTF-8 would turn into other names in silence. */
function decode(bytes: Buffer, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new UsageError(`the inventory ${name} is not utf-8 text`, { hint: 'save it as utf-8', cause: error });
  }
}

async function checkRaw(raw: unknown, locate: Locate, name: string): Promise<readonly LocatedMistake[]> {
  // zod and the checks are loaded only for a text that was not checked before.
  const [{ checkShape }, { checkMeaning }] = await Promise.all([import('./shape.ts'), import('./check.ts')]);
  const shape = checkShape(raw);
  const mapping = asMapping(raw);
  const at = (path: Path): string => formatPosition(name, locate(path, 'value'));
  // Both look at the same file; where the shape is wrong, its word is the one to hear.
  const wrongShape = new Set(shape.map((mistake) => JSON.stringify(mistake.path)));
  const meaning = mapping === null ? [] : checkMeaning(mapping, at);
  return [...shape, ...meaning.filter((mistake) => !wrongShape.has(JSON.stringify(mistake.path)))].map((mistake) => ({
    position: locate(mistake.path, mistake.on),
    path: mistake.path,
    message: mistake.message,
  }));
}

function invalid(name: string, mistakes: readonly LocatedMistake[]): UsageError {
  const details = formatMistakes(name, mistakes);
  const count = details.length === 1 ? 'a mistake' : `${details.length} mistakes`;
  return new UsageError(`${name} has ${count}`, {
    details,
    hint: 'tenants.example.yaml shows every key',
  });
}

function passwordWarnings(inventory: Inventory, locate: Locate): readonly InventoryWarning[] {
  return [...inventory.servers.values()].flatMap((server) => {
    if (server.url === null || !holdsPassword(server.url)) return [];
    const path = ['servers', server.id, 'url'];
    const where = `${formatPosition(inventory.file, locate(path, 'value'))} ${formatPath(path)}`;
    return [
      {
        message: `${where}: holds a password in plain text`,
        hint: 'take it out and name where it is kept, for example password: { env: MAIN_DB_PASSWORD }',
      },
    ];
  });
}

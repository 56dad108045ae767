import { stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { UsageError } from '../../errors.ts';

const fileNames = ['tenants.yaml', 'tenants.yml'] as const;

export interface FoundInventory {
  /** Absolute. */
  readonly path: string;
  /** As a person in the working directory would write it, for messages. */
  readonly name: string;
}

/** `--config`, else TENANTCTL_CONFIG, else tenants.yaml in the working directory or the nearest folder above it. */
export async function findInventory(from: {
  readonly cwd: string;
  readonly config?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}): Promise<FoundInventory> {
  if (from.config !== undefined) return named(from.cwd, from.config, '--config');
  const variable = from.env.TENANTCTL_CONFIG;
  if (variable !== undefined && variable !== '') return named(from.cwd, variable, 'TENANTCTL_CONFIG');

  const start = resolve(from.cwd);
  for (let folder = start; ; folder = dirname(folder)) {
    for (const fileName of fileNames) {
      const path = join(folder, fileName);
      if (await isFile(path)) return { path, name: relative(start, path) };
    }
    if (folder === dirname(folder)) break;
  }
  throw new UsageError('no tenants.yaml here or in any folder above', {
    hint: 'write one with: tenantctl init (or name one with --config <file>)',
  });
}

async function named(cwd: string, file: string, source: string): Promise<FoundInventory> {
  const path = resolve(cwd, file);
  if (file !== '' && (await isFile(path))) return { path, name: file };
  throw new UsageError(`${source} names an inventory that is not there: ${JSON.stringify(file)}`, {
    hint: 'check the path, or write an inventory with: tenantctl init',
  });
}

async function isFile(path: string): Promise<boolean> {
  // Anything that can be read counts, so that `--config /dev/stdin` and process substitution work.
  const found = await stat(path).catch(() => null);
  return found !== null && !found.isDirectory();
}

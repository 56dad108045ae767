import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Writes a shell script that every user may run. */
export async function writeProgram(folder: string, name: string, script: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

/** Programs that know their version and nothing else: enough to be found. */
export async function writePostgres(
  folder: string,
  version: string,
  parts: { readonly server?: boolean; readonly client?: boolean },
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const names = [...(parts.server ? ['postgres', 'initdb'] : []), ...(parts.client ? ['pg_dump', 'pg_restore'] : [])];
  for (const name of names) await writeProgram(folder, name, `echo "${name} (PostgreSQL) ${version}"`);
  return folder;
}

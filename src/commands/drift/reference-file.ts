import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Context } from '../../context.ts';
import { parseSnapshot } from '../../drift/parse-snapshot.ts';
import type { Reference } from '../../drift/reference.ts';
import { UsageError } from '../../errors.ts';

/** All tenants of one PostgreSQL major held to a snapshot; a mistake when the file cannot be read, or is damaged. */
export async function fileReference({ cwd }: Context, file: string): Promise<Reference> {
  const facts = parseSnapshot(await readSnapshot(path.resolve(cwd, file), file), file);
  return {
    name: `file:${file}`,
    notes: [],
    factsFor: ({ shape: { major } }) => {
      if (major === facts.major) return { key: `file ${file}`, facts: async () => facts };
      return {
        why: `${file} was made on PostgreSQL ${facts.major}, and this tenant is on PostgreSQL ${major}`,
        hint: 'take a snapshot on each major version, with `tenantctl drift snapshot`',
      };
    },
  };
}

async function readSnapshot(file: string, typed: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new UsageError(`the snapshot ${typed} cannot be read: ${cause instanceof Error ? cause.message : cause}`, {
      hint: 'write one with `tenantctl drift snapshot -t <tenant> --out <file>`',
      cause,
    });
  }
}

import { randomBytes } from 'node:crypto';
import { link, mkdtemp, open, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { RefusedError, UsageError } from '../../errors.ts';
import { type LoadedInventory, loadInventory } from './load.ts';
import { printable } from './names.ts';
import type { ProposedEntry } from './propose-discovery.ts';

/** What a new inventory says. */
export interface InventoryDraft {
  readonly environment: string;
  /** As it is to stand in the file: relative to its folder. */
  readonly migrations: string;
  readonly hasMigrations: boolean;
  readonly serverId: string;
  /** Without a password. */
  readonly url: string;
  /** The variable that holds the password; null: libpq's own ways. */
  readonly passwordEnv: string | null;
  readonly entries: readonly ProposedEntry[];
  readonly createdAt: Date;
}

/** The text of a commented tenants.yaml. Whatever names it holds, it is read back as exactly these. */
export function inventoryText(draft: InventoryDraft): string {
  const { serverId, passwordEnv } = draft;
  const password =
    passwordEnv === null
      ? '# Without `password`, PGPASSWORD and ~/.pgpass are tried. Other ways: { env: … }, { file: … }, { command: […] }.'
      : `password: { env: ${passwordEnv} } # or { file: … }, { command: […] }; without it PGPASSWORD and ~/.pgpass`;
  return `# The fleet: its servers, and who lives there. Written by tenantctl init on ${draft.createdAt.toISOString().slice(0, 10)} from what it
# found on the server; edit it freely. tenants.example.yaml of the package shows every key.
version: 1

# Shown in every plan and prompt; the word a person types to confirm what destroys data.
environment: ${scalar(draft.environment)}

# A node-pg-migrate folder with .sql, .js or .ts files. Paths are relative to the folder of this file.
migrations: ${scalar(draft.migrations)}${draft.hasMigrations ? '' : ' # not there yet: tenantctl migrate create <name> makes it'}

# Records of runs: what failed in one can be selected in the next. Keep the folder where it lasts.
# state: ./.tenantctl

# How much happens at once. A server gets at most half of the connections that are free on it in any case.
# limits: { concurrency: 16, perServer: 8, perDatabase: 4 }

servers:
  ${scalar(serverId)}:
    url: ${scalar(draft.url)}
    ${password}

# What all tenants of a database use (extensions, common tables): migrated once, before its tenants.
# shared:
#   - { server: ${scalar(serverId)}, database: saas, schema: public, migrations: ./migrations/shared }

# Tenants by name: without a schema the database is their own. They win over discovered ones in the same place.
# tenants:
#   - { id: acme, server: ${scalar(serverId)}, database: acme, labels: { tier: enterprise } }

${discoverText(draft)}`;
}

function discoverText({ entries, serverId }: InventoryDraft): string {
  const head = '# Tenants that are looked up each time a command starts: * is any run of characters, ? is one.\n';
  if (entries.length === 0) {
    return `${head}# Nothing on the server looked like a fleet yet.
# discover:
#   - { server: ${scalar(serverId)}, database: saas, schemas: "tenant_*" } # schemas of one database; the id is what * matched
#   - { server: ${scalar(serverId)}, databases: "tenant_*" } # databases of the server
`;
  }
  return `${head}discover:\n${entries.map((entry) => entryText(entry, serverId)).join('')}`;
}

function entryText(entry: ProposedEntry, serverId: string): string {
  const { kind, pattern, names, id } = entry;
  const examples = names.slice(0, 3).map(printable).join(', ');
  const place = kind === 'schemas' ? `database: ${scalar(entry.database)}, schemas` : 'databases';
  const template = id === null ? '' : `, id: ${scalar(id)}`;
  return `  # ${names.length} found: ${examples}${names.length > 3 ? ', …' : ''}
  - { server: ${scalar(serverId)}, ${place}: ${scalar(pattern)}${template} }
`;
}

/** YAML's double quotes read JSON's escapes; what could disturb a terminal is written as one. */
function scalar(text: string): string {
  if (/^(?:\.{1,2}\/)?[A-Za-z][\w./-]*$/.test(text) && !isKeyword(text)) return text;
  return JSON.stringify(text).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (found) =>
    found
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

/** Words that YAML, in one version or another, takes for something else than text. */
function isKeyword(text: string): boolean {
  return /^(?:null|true|false|yes|no|on|off|y|n)$/i.test(text);
}

/** Reads a text as if it were the inventory `name`, with all its checks. */
export async function readInventoryText(text: string, name: string): Promise<LoadedInventory> {
  const folder = await mkdtemp(join(tmpdir(), 'tenantctl-'));
  try {
    const path = join(folder, 'tenants.yaml');
    await writeFile(path, text);
    return await loadInventory({ path, name });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Puts an inventory in its place when it is whole. Never over a file that is there, unless `force`; then what a link
 * points to is replaced. Leaves nothing behind on errors.
 */
export async function writeInventory(
  file: { readonly path: string; readonly name: string; readonly force: boolean },
  text: string,
): Promise<void> {
  const target = file.force ? await realpath(file.path).catch(() => file.path) : file.path;
  const partial = join(dirname(target), `.${basename(target)}.${randomBytes(4).toString('hex')}.partial`);
  try {
    await writeDurably(partial, text);
    if (file.force) await rename(partial, target);
    else await renameToNew(partial, target);
  } catch (error) {
    throw writeError(error, file.name);
  } finally {
    await rm(partial, { force: true }).catch(() => undefined);
  }
}

export function alreadyThere(name: string): RefusedError {
  return new RefusedError(`${name} is there already`, {
    hint: 'replace it with --force, write another file with --config <file>, or look at the text with --stdout',
  });
}

async function writeDurably(path: string, text: string): Promise<void> {
  const handle = await open(path, 'wx');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A rename would replace a file that somebody wrote in the meantime; a second name for the same file cannot. */
async function renameToNew(partial: string, target: string): Promise<void> {
  try {
    await link(partial, target);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    // Some file systems know no second names.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw error;
    await (await open(target, 'wx')).close();
    await rename(partial, target);
  }
}

function writeError(error: unknown, name: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'EEXIST') return alreadyThere(name);
  return new UsageError(`cannot write ${name}: ${code ?? String(error)}`, {
    hint: code === 'ENOENT' ? 'make the folder first' : 'run it in a folder that you can write to, or use --stdout',
    cause: error,
  });
}

import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import { type Discovered, discoverTenants } from '../../fleet/discovery.ts';
import { hasWildcard } from '../../fleet/glob.ts';
import { idProblem } from '../../fleet/inventory/names.ts';
import type { Inventory } from '../../fleet/inventory/types.ts';
import {
  alreadyThere,
  inventoryText,
  readInventoryText,
  writeInventory,
} from '../../fleet/inventory/write-inventory.ts';
import type { Result } from '../../output/result.ts';
import { toFailure } from '../../postgres/failure.ts';
import { type Command, type RawOptions, textView } from '../command.ts';
import { readSwitch, readText } from '../read-options.ts';
import { type Look, lookAtServer, nothingWritten } from './init-look.ts';
import { initExtra, initLines } from './init-report.ts';

interface InitOptions {
  /** The file to write, as it was typed. */
  readonly config: string | null;
  readonly url: string | null;
  readonly patterns: { readonly schemas: string | null; readonly databases: string | null };
  readonly migrations: string | null;
  readonly environment: string | null;
  readonly serverId: string;
  readonly force: boolean;
  readonly stdout: boolean;
}

/** `tenantctl init`: a commented tenants.yaml from what a live server has. */
export const init: Command<InitOptions, never> = {
  name: 'init',
  summary: 'write a tenants.yaml from what a live server has',
  examples: [
    ['tenantctl init --url postgres://admin@db-1.internal/postgres', 'looks at that server, writes tenants.yaml here'],
    ['tenantctl init', 'the server that PGHOST, PGUSER and their like name'],
    ["tenantctl init --schemas 'org_*' --stdout", 'these schemas and no guessing; prints the file and writes nothing'],
  ],
  flags: [
    {
      flags: '--url <conninfo>',
      description: 'postgres:// URL or key=value settings (default: PG*)',
      fromEnvironment: true,
    },
    {
      flags: '--schemas <pattern>',
      description: 'schemas that are tenants, in place of guessing',
      fromEnvironment: false,
    },
    {
      flags: '--databases <pattern>',
      description: 'databases that are tenants, in place of guessing',
      fromEnvironment: false,
    },
    { flags: '--migrations <folder>', description: 'default: ./migrations or ./db/migrations', fromEnvironment: true },
    {
      flags: '--environment <name>',
      description: 'default: development for a local server, else production',
      fromEnvironment: true,
    },
    {
      flags: '--server-id <id>',
      description: 'what the server is called in the file (default: main)',
      fromEnvironment: true,
    },
    { flags: '--force', description: 'replace a file that is there', fromEnvironment: false },
    { flags: '--stdout', description: 'print the file and write nothing', fromEnvironment: false },
  ],
  view: textView,
  options: readInitOptions,
  run: runInit,
};

function readInitOptions(raw: RawOptions): InitOptions {
  const serverId = readText(raw, 'serverId') ?? 'main';
  const problem = idProblem(serverId);
  if (problem !== null) throw new UsageError(`--server-id ${problem}`);
  if (readSwitch(raw, 'force') && readSwitch(raw, 'stdout')) {
    throw new UsageError('--force and --stdout exclude each other', { hint: '--stdout writes no file' });
  }
  return {
    config: readText(raw, 'config'),
    url: readText(raw, 'url'),
    patterns: { schemas: readPattern(raw, 'schemas'), databases: readPattern(raw, 'databases') },
    migrations: readText(raw, 'migrations'),
    environment: readText(raw, 'environment'),
    serverId,
    force: readSwitch(raw, 'force'),
    stdout: readSwitch(raw, 'stdout'),
  };
}

function readPattern(raw: RawOptions, key: 'schemas' | 'databases'): string | null {
  const pattern = readText(raw, key);
  if (pattern === null || hasWildcard(pattern)) return pattern;
  throw new UsageError(`--${key} takes a pattern with * or ?, not ${JSON.stringify(pattern)}`, {
    hint: 'a single tenant is named under `tenants` in the file',
  });
}

async function runInit(context: Context, options: InitOptions): Promise<Result<never>> {
  const name = options.config ?? 'tenants.yaml';
  const file = path.resolve(context.cwd, name);
  if (!options.force && !options.stdout) await refuseExisting(context.cwd, options.config);
  const look = await lookAtServer(context, path.dirname(file), options);
  if (context.interrupts.stop.aborted) throw nothingWritten();
  checkPatterns(look, options);

  const environment = options.environment ?? (look.isLocal ? 'development' : 'production');
  const migrations = await findMigrations(context.cwd, path.dirname(file), options.migrations);
  const passwordEnv = look.removed.includes('password') ? variableName(options.serverId) : null;
  const text = inventoryText({
    ...migrations,
    environment,
    serverId: options.serverId,
    url: look.url,
    passwordEnv,
    entries: look.proposal.entries,
    createdAt: context.now(),
  });
  // Read back before it is written: what the file says is then known to be what was seen.
  const { inventory } = await readInventoryText(text, name);
  const discovered = await discoverAgain(inventory, look);
  if (context.interrupts.stop.aborted) throw nothingWritten();
  if (!options.stdout) await writeInventory({ path: file, name, force: options.force }, text);
  const { config, serverId } = options;
  const { hasMigrations } = migrations;
  const written = {
    look,
    serverId,
    hasMigrations,
    config,
    file: options.stdout ? null : name,
    text,
    passwordEnv,
    discovered,
  };
  const lines = initLines(written);
  if (!options.stdout) return { outcomes: [], environment, text: lines, extra: initExtra(written) };
  for (const message of lines) context.emit({ type: 'notice', level: 'info', message });
  return { outcomes: [], environment, text: text.trimEnd().split('\n'), extra: initExtra(written) };
}

/** Before the server is asked anything. `tenants.yml` counts too: it would be hidden by the new file. */
async function refuseExisting(cwd: string, config: string | null): Promise<void> {
  for (const name of config === null ? ['tenants.yaml', 'tenants.yml'] : [config]) {
    const found = await stat(path.resolve(cwd, name)).catch(() => null);
    if (found !== null) throw alreadyThere(name);
  }
}

/** A pattern that a person typed and that finds nobody is a typing error. */
function checkPatterns({ proposal }: Look, { patterns }: InitOptions): void {
  for (const kind of ['schemas', 'databases'] as const) {
    const pattern = patterns[kind];
    if (pattern === null || proposal.entries.some((entry) => entry.kind === kind)) continue;
    const seen = proposal.leftOut.flatMap(({ database, schemas }) =>
      kind === 'databases' ? [database] : (schemas ?? []),
    );
    throw new UsageError(`--${kind} ${JSON.stringify(pattern)} matches none of the server’s ${kind}`, {
      details: proposal.leftOut.flatMap(({ database, reason, schemas }) =>
        schemas === null && reason.startsWith('cannot be read') ? [`database ${database} ${reason}`] : [],
      ),
      hint: seen.length === 0 ? `there are none` : `seen: ${[...new Set(seen)].slice(0, 10).join(', ')}`,
    });
  }
}

async function discoverAgain(inventory: Inventory, look: Look): Promise<Discovered> {
  const read = async (entry: Inventory['discover'][number]): Promise<readonly string[]> => {
    if (entry.kind !== 'schemas') return look.databases;
    return (await look.schemasOf(entry.database)).map(({ name }) => name);
  };
  return discoverTenants(inventory, read, { toFailure });
}

const usualFolders = ['./migrations', './db/migrations'];

/** Where migrations are, or will be, as the file writes it. */
async function findMigrations(
  cwd: string,
  baseDir: string,
  given: string | null,
): Promise<{ readonly migrations: string; readonly hasMigrations: boolean }> {
  const folders =
    given === null ? usualFolders.map((folder) => path.resolve(baseDir, folder)) : [path.resolve(cwd, given)];
  for (const folder of folders) {
    const found = await stat(folder).catch(() => null);
    if (found?.isDirectory()) return { migrations: relativeTo(baseDir, folder), hasMigrations: true };
    if (found !== null && given !== null) throw new UsageError(`--migrations ${given} is not a folder`);
  }
  return { migrations: relativeTo(baseDir, folders[0] ?? baseDir), hasMigrations: false };
}

function relativeTo(baseDir: string, folder: string): string {
  const relative = path.relative(baseDir, folder).replaceAll(path.sep, '/');
  return relative.startsWith('..') || path.isAbsolute(relative) ? relative : `./${relative}`;
}

/** `MAIN_DB_PASSWORD` for `main`. */
function variableName(serverId: string): string {
  const word = serverId.toUpperCase().replace(/[^A-Z0-9]+/g, '_');
  return `${/^[A-Z]/.test(word) ? '' : 'SERVER_'}${word}_DB_PASSWORD`.replace(/_+/g, '_');
}

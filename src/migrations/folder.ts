import { hash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { compareMigrationFileNames } from 'node-pg-migrate/utils/comparators';
import { UsageError } from '../errors.ts';
import { parseSqlFile, type SqlFile } from './sql-file.ts';

interface MigrationBase {
  /** File name without its ending: what the history table holds. */
  readonly name: string;
  readonly path: string;
  /** The path as the operator knows it, for messages. */
  readonly displayPath: string;
  /** sha256 over the text with LF line ends, so that a checkout on Windows has the same. */
  readonly checksum: string;
  readonly text: string;
}

export type Migration = MigrationBase & ({ readonly kind: 'sql'; readonly sql: SqlFile } | { readonly kind: 'js' });

/** A migrations folder, read once a run. */
export interface MigrationFolder {
  readonly path: string;
  /** In the order in which they run. */
  readonly migrations: readonly Migration[];
  readonly byName: ReadonlyMap<string, Migration>;
}

const endings = new Set(['.sql', '.js', '.mjs', '.cjs', '.ts', '.mts', '.cts']);
/** The history table's `name varchar(255)`. */
const longestName = 255;

/** Reads a node-pg-migrate folder. Other files in it (a README) are left alone. */
export function readFolder(folder: string, cwd: string): MigrationFolder {
  const isHere = path.relative(cwd, folder) === '';
  const prefix = isHere ? '' : `${display(folder, cwd)}${path.sep}`;
  const migrations = sortNames(listFiles(folder, cwd), folder, cwd).map((file) => readMigration(folder, file, prefix));
  const byName = new Map<string, Migration>();
  for (const migration of migrations) {
    const twin = byName.get(migration.name);
    if (twin !== undefined) {
      throw new UsageError(`two migrations have one name: ${twin.displayPath} and ${migration.displayPath}`, {
        hint: 'the history knows a migration by its file name without the ending: rename one',
      });
    }
    byName.set(migration.name, migration);
  }
  return { path: folder, migrations, byName };
}

function listFiles(folder: string, cwd: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() || entry.isSymbolicLink())
      .map((entry) => entry.name)
      .filter((name) => !name.startsWith('.') && endings.has(path.extname(name).toLowerCase()));
  } catch (cause) {
    throw new UsageError(`the migrations folder ${display(folder, cwd)} cannot be read`, {
      hint: 'set `migrations` in the inventory, or make the first one with `tenantctl migrate create <name>`',
      cause,
    });
  }
}

function sortNames(names: readonly string[], folder: string, cwd: string): string[] {
  const unnumbered = names.filter((name) => !/^\d/.test(name));
  if (unnumbered.length > 0) {
    throw new UsageError(`migrations without a number in front have no order: ${unnumbered.join(', ')}`, {
      hint: `name them like 0001_${unnumbered[0]} in ${display(folder, cwd)}`,
    });
  }
  return names.toSorted((a, b) => compareMigrationFileNames(a, b));
}

function readMigration(folder: string, file: string, prefix: string): Migration {
  const fullPath = path.join(folder, file);
  const displayPath = prefix + file;
  const name = path.basename(file, path.extname(file));
  if (name.length > longestName) throw new UsageError(`${displayPath}: the name is longer than ${longestName}`);
  const text = readFileSync(fullPath, 'utf8').replace(/^\uFEFF/, '');
  const checksum = hash('sha256', text.replaceAll('\r\n', '\n'));
  const base = { name, path: fullPath, displayPath, checksum, text };
  return path.extname(file).toLowerCase() === '.sql' ? new SqlMigration(base) : { ...base, kind: 'js' };
}

/** Parsed when it is first to run: of hundreds of files few ever are. */
class SqlMigration implements MigrationBase {
  readonly kind = 'sql';
  readonly name: string;
  readonly path: string;
  readonly displayPath: string;
  readonly checksum: string;
  readonly text: string;
  #sql: SqlFile | null = null;

  constructor({ name, path: file, displayPath, checksum, text }: MigrationBase) {
    this.name = name;
    this.path = file;
    this.displayPath = displayPath;
    this.checksum = checksum;
    this.text = text;
  }

  get sql(): SqlFile {
    this.#sql ??= parseSqlFile(this.text);
    return this.#sql;
  }
}

function display(file: string, cwd: string): string {
  const relative = path.relative(cwd, file);
  return relative.startsWith('..') || relative === '' ? file : relative;
}

/** Finds a migration by its name, its file name, or a beginning that fits only one (`0142`). */
export function findMigration(folder: MigrationFolder, wanted: string): Migration {
  const name = endings.has(path.extname(wanted)) ? path.basename(wanted, path.extname(wanted)) : wanted;
  const exact = folder.byName.get(name);
  if (exact !== undefined) return exact;
  const candidates = folder.migrations.filter((migration) => migration.name.startsWith(name));
  if (candidates.length === 1 && candidates[0] !== undefined) return candidates[0];
  throw new UsageError(
    candidates.length === 0
      ? `no migration is named ${wanted}`
      : `${wanted} fits ${candidates.length} migrations: ${candidates
          .slice(0, 3)
          .map((migration) => migration.name)
          .join(', ')}`,
    { hint: 'give the whole name, or a beginning that only one has' },
  );
}

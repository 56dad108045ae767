import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { RefusedError, UsageError } from '../errors.ts';
import type { Outcome } from './outcome.ts';

/** What a run set out to do; on disk before anything is touched. */
export interface Manifest {
  readonly schema: 'tenantctl/1';
  readonly run: string;
  readonly command: string;
  readonly startedAt: string;
  readonly environment: string;
  /** Version of tenantctl. */
  readonly version: string;
  /** Flags and settings that matter to the run; never a secret. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly tenants: readonly string[];
}

/** How one tenant ended, a line of outcomes.ndjson. */
export interface LedgerEntry {
  readonly tenant: string;
  readonly status: Outcome['status'];
  readonly durationMs: number;
  readonly settledAt: string;
  readonly value?: unknown;
  readonly step?: string | null;
  readonly error?: unknown;
  readonly reason?: string;
}

export interface RunRecord {
  readonly manifest: Manifest;
  /** The last word on each tenant that has one. */
  readonly entries: ReadonlyMap<string, LedgerEntry>;
}

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** `2026-11-22T101500Z-k3f9`: sorts by time, safe as a file name, short at the end for application_name. */
export function newRunId(now: Date): string {
  const time = now
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '');
  const tail = [...randomBytes(4)].map((byte) => alphabet[byte % alphabet.length]).join('');
  return `${time}-${tail}`;
}

/**
 * The record of one run in the state folder: a manifest, and a line for each settled tenant. Lines are flushed
 * together: those that come while a flush runs share the next one. A process killed at any byte leaves lines that
 * can be read, and at most a last one that is cut.
 */
export class Ledger {
  readonly run: string;
  readonly #file: FileHandle;
  #queue: string[] = [];
  #flushing: Promise<void> | null = null;
  #error: unknown = null;

  private constructor(run: string, file: FileHandle) {
    this.run = run;
    this.#file = file;
  }

  /** Refuses (exit 5) when the state folder cannot be written: without a record nothing is begun. */
  static async create(stateFolder: string, manifest: Manifest): Promise<Ledger> {
    const runs = path.join(stateFolder, 'runs');
    const folder = path.join(runs, manifest.run);
    try {
      await mkdir(runs, { recursive: true });
      // Fails when it is there: two runs never share a record.
      await mkdir(folder);
      await writeDurably(path.join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
      return new Ledger(manifest.run, await open(path.join(folder, 'outcomes.ndjson'), 'a'));
    } catch (cause) {
      throw new RefusedError(`the run cannot be recorded in ${folder}: ${(cause as Error).message}`, {
        hint: 'make the folder writable, or set `state` in the inventory to one that is',
        cause,
      });
    }
  }

  record(outcome: Outcome, now: Date): void {
    this.#queue.push(`${JSON.stringify(toEntry(outcome, now))}\n`);
    this.#flushing ??= this.#flush();
  }

  /** Waits for the last line to be on disk; returns what went wrong on the way, if anything. */
  async close(): Promise<unknown> {
    await this.#flushing;
    try {
      await this.#file.close();
    } catch (error) {
      this.#error ??= error;
    }
    return this.#error;
  }

  async #flush(): Promise<void> {
    // Outcomes that settle in the same turn share a line batch.
    await Promise.resolve();
    while (this.#queue.length > 0 && this.#error === null) {
      const lines = this.#queue;
      this.#queue = [];
      try {
        // Writes all of it or throws, which a plain write does not.
        await this.#file.appendFile(lines.join(''));
        await this.#file.datasync();
      } catch (error) {
        this.#error = error;
      }
    }
    this.#flushing = null;
  }
}

/** Reads a run by its id, or by the last part of it. A run that was killed before its manifest stood never began. */
export async function readRun(stateFolder: string, wanted: string): Promise<RunRecord> {
  const folder = path.join(stateFolder, 'runs', await findRun(stateFolder, wanted));
  const manifest = await readManifest(folder);
  if (manifest === null) throw noSuchRun(stateFolder, `run ${wanted} was killed before it began`);
  const text = await readFile(path.join(folder, 'outcomes.ndjson'), 'utf8').catch(() => '');
  const entries = new Map<string, LedgerEntry>();
  for (const line of text.split('\n')) {
    const entry = parseLine(line);
    if (entry !== null) entries.set(entry.tenant, entry);
  }
  return { manifest, entries };
}

async function findRun(stateFolder: string, wanted: string): Promise<string> {
  const runs = await readdir(path.join(stateFolder, 'runs')).catch(() => [] as string[]);
  const matches = runs.filter((run) => run === wanted || run.endsWith(`-${wanted}`));
  if (matches.length === 1 && matches[0] !== undefined) return matches[0];
  const names = matches.toSorted().join(', ');
  throw noSuchRun(
    stateFolder,
    names === '' ? `no run ${wanted} is recorded` : `${wanted} names several runs: ${names}`,
  );
}

function noSuchRun(stateFolder: string, message: string): UsageError {
  return new UsageError(message, { hint: `look into ${path.join(stateFolder, 'runs')}` });
}

async function readManifest(folder: string): Promise<Manifest | null> {
  try {
    return JSON.parse(await readFile(path.join(folder, 'manifest.json'), 'utf8')) as Manifest;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Null for an empty line, and for the last one of a run that was killed while it wrote. */
function parseLine(line: string): LedgerEntry | null {
  try {
    return line === '' ? null : (JSON.parse(line) as LedgerEntry);
  } catch {
    return null;
  }
}

function toEntry(outcome: Outcome, now: Date): LedgerEntry {
  const { tenant, ...rest } = outcome;
  return { tenant: tenant.id, ...rest, settledAt: now.toISOString() };
}

async function writeDurably(file: string, text: string): Promise<void> {
  const partial = `${file}.partial`;
  const handle = await open(partial, 'w');
  try {
    await handle.writeFile(text);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await rename(partial, file);
}

import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises';
import path from 'node:path';
import { RefusedError } from '../errors.ts';
import type { Outcome } from './outcome.ts';

/** What a run set out to do; on disk before anything is touched. */
export interface Manifest {
  readonly schema: 'tenantctl/1';
  readonly run: string;
  readonly command: string;
  /** RFC 3339, UTC. */
  readonly startedAt: string;
  readonly environment: string;
  /** Version of tenantctl. */
  readonly version: string;
  /** The machine's name. */
  readonly host?: string;
  /** Flags as they were typed, selection and all, by their names in camelCase. */
  readonly flags?: Readonly<Record<string, unknown>>;
  /** Names of those that a variable gave: where secrets are, so their values are read anew and never written. */
  readonly flagsFromEnvironment?: readonly string[];
  /** What the command made of flags and inventory as far as it matters to the run; never a secret. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly tenants: readonly string[];
}

/** How one tenant ended, a line of outcomes.ndjson. */
export interface LedgerEntry {
  readonly tenant: string;
  readonly server?: string;
  readonly database?: string;
  readonly schema?: string | null;
  /** Where it has one. */
  readonly role?: string;
  readonly status: Outcome['status'];
  readonly durationMs: number;
  readonly settledAt: string;
  readonly value?: unknown;
  readonly step?: string | null;
  readonly error?: unknown;
  readonly reason?: string;
  readonly because?: string;
}

/** The last line of outcomes.ndjson: a record without it is that of a run that goes on, or was killed. */
export interface RunEnd {
  readonly endedAt: string;
  /** Somebody stopped it: Ctrl-C, SIGTERM. */
  readonly interrupted: boolean;
  /** The command ended with this error instead of a report. */
  readonly error?: string;
  /** Lines are missing: they could not be written. */
  readonly incomplete?: true;
}

/** Tenants that were born while the run went on and belong to it: a line before they are touched. */
export interface JoinedLine {
  readonly joined: readonly string[];
}

/** Where the records of runs are, and of what files one is made. */
export const recordFiles = { runs: 'runs', manifest: 'manifest.json', outcomes: 'outcomes.ndjson' } as const;

/** A run that goes on touches its record so often. */
const signOfLifeMs = 5000;

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

/** Is the text a whole id, as `newRunId` makes them? */
export function isRunId(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d{6}Z-[0-9a-z]{4}$/.test(text);
}

/**
 * The record of one run in the state folder: a manifest, and a line for each settled tenant. Lines are flushed
 * together: those that come while a flush runs share the next one. A process killed at any byte leaves lines that
 * can be read, and at most a last one that is cut.
 */
export class Ledger {
  readonly run: string;
  readonly #file: FileHandle;
  readonly #signs: NodeJS.Timeout;
  #queue: string[] = [];
  #flushing: Promise<void> | null = null;
  #error: unknown = null;

  private constructor(run: string, file: FileHandle) {
    this.run = run;
    this.#file = file;
    this.#signs = setInterval(() => this.#giveSign(), signOfLifeMs);
    this.#signs.unref();
  }

  /** Refuses (exit 5) when the state folder cannot be written: without a record nothing is begun. */
  static async create(stateFolder: string, manifest: Manifest): Promise<Ledger> {
    const runs = path.join(stateFolder, recordFiles.runs);
    const folder = path.join(runs, manifest.run);
    try {
      await mkdir(runs, { recursive: true });
      // Fails when it is there: two runs never share a record.
      await mkdir(folder);
      await writeDurably(path.join(folder, recordFiles.manifest), `${JSON.stringify(manifest, null, 2)}\n`);
      return new Ledger(manifest.run, await open(path.join(folder, recordFiles.outcomes), 'a'));
    } catch (cause) {
      throw new RefusedError(`the run cannot be recorded in ${folder}: ${(cause as Error).message}`, {
        hint: 'make the folder writable, or set `state` in the inventory to one that is',
        cause,
      });
    }
  }

  record(outcome: Outcome, now: Date): void {
    this.#write(toEntry(outcome, now));
  }

  /** Takes tenants into the run that its manifest does not name; on disk when it resolves. */
  async join(tenants: readonly string[]): Promise<void> {
    this.#write({ joined: tenants } satisfies JoinedLine);
    await this.#flushing;
  }

  /** Says that the run came to an end, then waits as `close` does. */
  async end(end: Omit<RunEnd, 'incomplete'>): Promise<unknown> {
    this.#write(end);
    await this.#flushing;
    // What was lost is lost, but there may be room for a line again: then nobody takes the run for a killed one.
    if (this.#error !== null) {
      const line = `\n${JSON.stringify({ ...end, incomplete: true } satisfies RunEnd)}\n`;
      await this.#file.appendFile(line).catch(() => {});
    }
    return this.close();
  }

  /** Waits for the last line to be on disk; returns what went wrong on the way, if anything. */
  async close(): Promise<unknown> {
    await this.#flushing;
    clearInterval(this.#signs);
    try {
      await this.#file.close();
    } catch (error) {
      this.#error ??= error;
    }
    return this.#error;
  }

  #write(line: LedgerEntry | JoinedLine | RunEnd): void {
    this.#queue.push(`${JSON.stringify(line)}\n`);
    this.#flushing ??= this.#flush();
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

  /** The time of the file tells others that the run goes on, on any machine that shares the folder. */
  #giveSign(): void {
    const now = new Date();
    this.#file.utimes(now, now).catch(() => {
      // Only a sign: what truly matters fails where lines are written.
    });
  }
}

function toEntry(outcome: Outcome, now: Date): LedgerEntry {
  const { tenant, ...rest } = outcome;
  const { id, server, database, schema, role } = tenant;
  const place = { server, database, schema, ...(role === null ? {} : { role }) };
  return { tenant: id, ...place, ...rest, settledAt: now.toISOString() };
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

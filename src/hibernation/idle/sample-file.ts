import { createHash } from 'node:crypto';
import { appendFile, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { RefusedError } from '../../errors.ts';
import type { Stretch } from './stretch.ts';

/** By the name of a schema, or of a database. */
export type Samples = ReadonlyMap<string, readonly Stretch[]>;

export interface SampleFile {
  readonly samples: Samples;
  /** Lines that can be read. */
  readonly lines: number;
  /** Bytes that were read. */
  readonly size: number;
}

/** Where samples are of: the schemas of one database, or (`database` null) the databases of a server. */
export interface SamplePlace {
  readonly server: string;
  readonly database: string | null;
}

/** The samples of one database's schemas, or (`database` null) of a server's databases. */
export function sampleFile(stateFolder: string, place: SamplePlace): string {
  // A hash: ids and names may hold whatever a file name must not.
  const name = createHash('sha256')
    .update(JSON.stringify([place.server, place.database]))
    .digest('hex')
    .slice(0, 16);
  return path.join(idleFolder(stateFolder), `${place.database === null ? 'databases' : 'schemas'}-${name}.ndjson`);
}

export function idleFolder(stateFolder: string): string {
  return path.join(stateFolder, 'idle');
}

/** What was sampled so far. Lines that are cut, or of another tenantctl, are passed over. */
export async function readSamples(file: string): Promise<SampleFile> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw refused(file, error);
  });
  const samples = new Map<string, Stretch[]>();
  let lines = 0;
  for (const line of text.split('\n')) {
    const parsed = line === '' ? null : parseLine(line);
    if (parsed === null) continue;
    lines += 1;
    for (const [name, stretches] of parsed) samples.set(name, [...(samples.get(name) ?? []), ...stretches]);
  }
  return {
    samples: new Map([...samples].map(([name, found]) => [name, plain(found)])),
    lines,
    size: Buffer.byteLength(text),
  };
}

/** One line more, whole or cut: a line that another run was killed in the middle of takes this one not with it. */
export async function appendSamples(file: string, samples: Samples): Promise<void> {
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await appendFile(file, `\n${formatLine(samples)}\n`);
  } catch (error) {
    throw refused(file, error);
  }
}

/**
 * All samples in one line, in place of what was read. Not when another run wrote meanwhile: it is done next time. What
 * one loses all the same is a sample, which proves less, and never more.
 */
export async function replaceSamples(file: string, read: SampleFile, samples: Samples, by: string): Promise<void> {
  const partial = `${file}.${by}.partial`;
  try {
    const handle = await open(partial, 'w');
    try {
      await handle.writeFile(`${formatLine(samples)}\n`);
      await handle.datasync();
    } finally {
      await handle.close();
    }
    if ((await stat(file)).size === read.size) await rename(partial, file);
  } catch (error) {
    throw refused(file, error);
  } finally {
    await rm(partial, { force: true });
  }
}

function plain(stretches: readonly Stretch[]): readonly Stretch[] {
  return stretches.toSorted((a, b) => a.from - b.from);
}

const format = 'tenantctl-idle/1';

function formatLine(samples: Samples): string {
  const tenants = [...samples].map(([name, stretches]) => [name, stretches.map(toTuple)]);
  return JSON.stringify({ schema: format, tenants: Object.fromEntries(tenants) });
}

function parseLine(line: string): readonly (readonly [string, readonly Stretch[]])[] | null {
  try {
    const value = JSON.parse(line) as { schema?: unknown; tenants?: unknown } | null;
    if (value?.schema !== format || typeof value.tenants !== 'object' || value.tenants === null) return null;
    return Object.entries(value.tenants).map(([name, tuples]) => [name, (tuples as unknown[]).map(fromTuple)]);
  } catch {
    return null;
  }
}

/** Short, for a file has one for each tenant and hour. */
function toTuple(s: Stretch): readonly unknown[] {
  const login = s.login === null ? null : [s.login.at];
  const last = [s.lastScan, s.isPresent ? 1 : 0, s.sizeBytes, login];
  return [s.from, s.to, s.samples, s.longestGapMs, s.before, s.after, s.mark, s.set, s.started, ...last];
}

function fromTuple(tuple: unknown): Stretch {
  const [from, to, samples, longestGapMs, before, after, mark, set, started, lastScan, present, sizeBytes, login] =
    tuple as unknown[];
  if (![from, to, samples, longestGapMs, started].every(Number.isFinite)) throw new Error('no times');
  if (![before, after].every((counts) => Array.isArray(counts) && counts.every(Number.isFinite))) {
    throw new Error('no counters');
  }
  return {
    from: from as number,
    to: to as number,
    samples: samples as number,
    longestGapMs: longestGapMs as number,
    before: before as number[],
    after: after as number[],
    mark: String(mark),
    set: String(set),
    started: started as number,
    lastScan: numberOrNull(lastScan),
    isPresent: present === 1,
    sizeBytes: numberOrNull(sizeBytes),
    login: Array.isArray(login) ? { at: numberOrNull(login[0]) } : null,
  };
}

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function refused(file: string, cause: unknown): RefusedError {
  return new RefusedError(`samples cannot be kept in ${file}: ${(cause as Error).message}`, {
    hint: 'make the folder writable, or set `state` in the inventory to one that is',
    cause,
  });
}

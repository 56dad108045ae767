import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { UsageError } from '../errors.ts';
import { isRunId, type LedgerEntry, type Manifest, type RunEnd, recordFiles } from './ledger.ts';

/** What the state folder holds of a run. */
export interface RunRecord {
  readonly manifest: Manifest;
  /** Ids: those of the manifest, then those that joined the run later. */
  readonly tenants: readonly string[];
  /** The last word on each tenant, and each shared schema, that has one. */
  readonly entries: ReadonlyMap<string, LedgerEntry>;
  readonly end: RunEnd | null;
  /** When the record was last touched: a run that goes on does so every few seconds. */
  readonly lastSignAt: Date;
}

/** A folder among the records that is none, or is damaged. */
export interface UnreadableRun {
  readonly folder: string;
  readonly problem: string;
}

/** `broken`: it ended with an error of its own. `killed`: it did not come to its end, and gives no sign of life. */
export type RunState = 'running' | 'finished' | 'interrupted' | 'broken' | 'killed';

/** Three times what a run that goes on needs at most, and more: its machine may be busy. */
const silenceMs = 30_000;

export function runState({ end, lastSignAt, tenants, entries }: RunRecord, now: Date): RunState {
  if (end !== null) return end.error !== undefined ? 'broken' : end.interrupted ? 'interrupted' : 'finished';
  if (now.getTime() - lastSignAt.getTime() < silenceMs) return 'running';
  // Killed after its last word, or recorded by a tenantctl that wrote no end: nothing is open.
  return tenants.every((id) => entries.has(id)) ? 'finished' : 'killed';
}

const statuses: readonly LedgerEntry['status'][] = ['done', 'failed', 'interrupted', 'skipped'];

/** Left alone because it slept: nothing of it is left to do. */
export function wasHibernated(entry: Pick<LedgerEntry, 'status' | 'reason'> | undefined): boolean {
  return entry?.status === 'skipped' && entry.reason === 'hibernated';
}

/** How many tenants ended how; `unsettled`: nothing is recorded of them. `skipped` leaves hibernated ones out. */
export type RunTotals = Readonly<Record<'tenants' | LedgerEntry['status'] | 'hibernated' | 'unsettled', number>>;

export function countRun({ tenants, entries }: RunRecord): RunTotals {
  const ended = { done: 0, failed: 0, interrupted: 0, skipped: 0, hibernated: 0, unsettled: 0 };
  for (const id of tenants) {
    const entry = entries.get(id);
    ended[wasHibernated(entry) ? 'hibernated' : (entry?.status ?? 'unsettled')] += 1;
  }
  return { tenants: tenants.length, ...ended };
}

/** Reads a run by its id, or by the last part of it. A run that was killed before its manifest stood never began. */
export async function readRun(stateFolder: string, wanted: string): Promise<RunRecord> {
  const run = await findRun(stateFolder, wanted);
  if (run === null) throw noSuchRun(`no run ${wanted} is recorded`);
  const record = await readRecord(path.join(stateFolder, recordFiles.runs), run);
  if ('problem' in record) throw noSuchRun(`run ${run} cannot be read: ${record.problem}`);
  return record;
}

/** The whole id of a recorded run that was named by it or by its last part; null: there is none. */
export async function findRun(stateFolder: string, wanted: string): Promise<string | null> {
  const runs = await listFolders(path.join(stateFolder, recordFiles.runs));
  const matches = runs.filter((run) => run === wanted || run.endsWith(`-${wanted}`));
  const [first = null] = matches;
  if (matches.length > 1) throw noSuchRun(`${wanted} names several runs: ${matches.toSorted().join(', ')}`);
  return first;
}

/** The newest runs first, what is none last; `total` counts all that are there. */
export async function listRuns(
  stateFolder: string,
  limit: number,
): Promise<{ readonly runs: readonly (RunRecord | UnreadableRun)[]; readonly total: number }> {
  const runs = path.join(stateFolder, recordFiles.runs);
  const folders = await listFolders(runs);
  const newestFirst = folders.filter(isRunId).toSorted().toReversed();
  const others = folders.filter((folder) => !isRunId(folder)).toSorted();
  const records: (RunRecord | UnreadableRun)[] = [];
  for (const folder of [...newestFirst, ...others].slice(0, limit)) records.push(await readRecord(runs, folder));
  return { runs: records, total: folders.length };
}

function noSuchRun(message: string): UsageError {
  return new UsageError(message, { hint: 'see which runs are recorded with: tenantctl runs list' });
}

/** None when there is no folder yet: nothing has run. */
async function listFolders(runs: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(runs, { withFileTypes: true });
    return entries.filter((entry) => !entry.isFile() && !entry.name.startsWith('.')).map(({ name }) => name);
  } catch (error) {
    if (isMissing(error)) return [];
    throw new UsageError(`the records of runs cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

async function readRecord(runs: string, name: string): Promise<RunRecord | UnreadableRun> {
  const folder = path.join(runs, name);
  try {
    const manifest = await readManifest(path.join(folder, recordFiles.manifest));
    if (typeof manifest === 'string') return { folder: name, problem: manifest };
    const { text, lastSignAt } = await readOutcomes(folder);
    return { manifest, ...readLines(manifest, text), lastSignAt };
  } catch (error) {
    return { folder: name, problem: (error as Error).message };
  }
}

/** The manifest, or why there is none. */
async function readManifest(file: string): Promise<Manifest | string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw error;
  });
  if (text === null) return 'it has no manifest: it was killed before it began, or is no run';
  const value = parseLine(text);
  if (value === null) return 'its manifest is damaged';
  return isManifest(value) ? value : 'its manifest is not of this version of tenantctl';
}

function isManifest(value: object): value is Manifest {
  const { schema, run, command, startedAt, environment, tenants } = value as Partial<Record<keyof Manifest, unknown>>;
  return (
    schema === 'tenantctl/1' &&
    [run, command, environment].every((each) => typeof each === 'string') &&
    typeof startedAt === 'string' &&
    !Number.isNaN(Date.parse(startedAt)) &&
    Array.isArray(tenants) &&
    tenants.every((id) => typeof id === 'string')
  );
}

/** Killed right after its manifest, a run has no outcomes. */
async function readOutcomes(folder: string): Promise<{ readonly text: string; readonly lastSignAt: Date }> {
  const file = path.join(folder, recordFiles.outcomes);
  try {
    return { lastSignAt: (await stat(file)).mtime, text: await readFile(file, 'utf8') };
  } catch (error) {
    if (!isMissing(error)) throw error;
    return { lastSignAt: (await stat(path.join(folder, recordFiles.manifest))).mtime, text: '' };
  }
}

function readLines(manifest: Manifest, text: string): Pick<RunRecord, 'tenants' | 'entries' | 'end'> {
  const tenants = new Set(manifest.tenants);
  const entries = new Map<string, LedgerEntry>();
  let end: RunEnd | null = null;
  for (const line of text.split('\n')) {
    const value = line === '' ? null : parseLine(line);
    if (value === null) continue;
    if (isEntry(value)) {
      entries.set(value.tenant, value);
      if (!isShared(value)) tenants.add(value.tenant);
    }
    if ('joined' in value && Array.isArray(value.joined)) for (const id of value.joined) tenants.add(String(id));
    if ('endedAt' in value) end = value as RunEnd;
  }
  return { tenants: [...tenants], entries, end };
}

/** A shared schema is migrated like a tenant, under a name that no tenant has in that place. */
export function isShared({ tenant, server, database, schema }: LedgerEntry): boolean {
  return tenant === `shared:${server}/${database}/${schema}`;
}

function isEntry(value: object): value is LedgerEntry {
  const { tenant, status } = value as Partial<LedgerEntry>;
  return typeof tenant === 'string' && statuses.some((known) => known === status);
}

/** Null for what is no object, such as the last line of a run that was killed while it wrote. */
function parseLine(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

import { appendFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { idleFolder } from './sample-file.ts';

/** Databases in which one run of tenantctl had sessions, and when. Milliseconds since 1970. */
export interface OwnSessions {
  readonly from: number;
  readonly to: number;
  readonly places: readonly (readonly [server: string, database: string])[];
}

/** More than that is written anew, without what is old. */
const mostBytes = 4_000_000;

/** A journal: to a server the sessions of tenantctl are sessions like all others. */
export function ownSessionsFile(stateFolder: string): string {
  return path.join(idleFolder(stateFolder), 'own-sessions.ndjson');
}

/** One line more. A line that another run was killed in the middle of takes this one not with it. */
export async function writeOwnSessions(file: string, sessions: OwnSessions): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await appendFile(file, `\n${JSON.stringify(sessions)}\n`);
}

/** Those that ended since then. Lines that are cut are passed over. */
export async function readOwnSessions(file: string, since: number): Promise<readonly OwnSessions[]> {
  const text = await readText(file);
  return text.split('\n').flatMap((line) => {
    const sessions = line === '' ? null : parseLine(line);
    return sessions === null || sessions.to < since ? [] : [sessions];
  });
}

/**
 * Takes away what is old when the journal has grown large. A line that another run writes just now may go with it: then
 * its sessions count as use, which lets a tenant sleep later and never earlier.
 */
export async function trimOwnSessions(file: string, since: number, by: string): Promise<void> {
  if (Buffer.byteLength(await readText(file)) <= mostBytes) return;
  const kept = await readOwnSessions(file, since);
  const partial = `${file}.${by}.partial`;
  try {
    await writeFile(partial, kept.map((each) => `${JSON.stringify(each)}\n`).join(''));
    await rename(partial, file);
  } finally {
    await rm(partial, { force: true });
  }
}

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  });
}

function parseLine(line: string): OwnSessions | null {
  try {
    const value = JSON.parse(line) as Partial<OwnSessions> | null;
    const isSound = Number.isFinite(value?.from) && Number.isFinite(value?.to) && Array.isArray(value?.places);
    return isSound ? (value as OwnSessions) : null;
  } catch {
    return null;
  }
}

import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Context } from '../../context.ts';
import type { Inventory } from '../../fleet/inventory/types.ts';
import { isRunId, recordFiles } from '../../fleet/ledger.ts';
import { type RunRecord, readRun } from '../../fleet/run-records.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { OwnWork } from '../../hibernation/idle/judge.ts';
import {
  type OwnSessions,
  ownSessionsFile,
  readOwnSessions,
  trimOwnSessions,
  writeOwnSessions,
} from '../../hibernation/idle/own-sessions.ts';
import type { Servers } from '../../postgres/servers.ts';

/** Recorded commands that change no row of a tenant, and those that never open one. */
const readers: ReadonlySet<string> = new Set(['dump']);
const strangers: ReadonlySet<string> = new Set(['verify', 'backups expire']);

/** A run may have begun so long before the time that is looked at. */
const longestRunMs = 3 * 86_400_000;

/** When tenantctl itself was at work in a tenant, by what the state folder knows. */
export interface OwnWorkBook {
  of(tenant: Tenant): readonly OwnWork[];
}

/** Reads the records of runs, and the journal of sessions in databases that are tenants. */
export async function readOwnWork(context: Context, inventory: Inventory, since: number): Promise<OwnWorkBook> {
  const [runs, sessions] = await Promise.all([
    readRecentRuns(inventory.state, since - longestRunMs),
    readOwnSessions(ownSessionsFile(inventory.state), since),
  ]);
  const now = context.now().getTime();
  const byTenant = new Map<string, OwnWork[]>();
  for (const record of runs) {
    if (strangers.has(record.manifest.command)) continue;
    const work = workOf(record, now);
    for (const id of record.tenants) add(byTenant, id, work);
  }
  const byPlace = new Map<string, OwnWork[]>();
  for (const { from, to, places } of sessions) {
    for (const [server, database] of places) {
      const key = `${server}\0${database}`;
      add(byPlace, key, { from, to, readsOnly: false });
    }
  }
  return {
    of: ({ id, server, database, schema }) => {
      const inDatabase = schema === null ? byPlace.get(`${server}\0${database}`) : undefined;
      return [...(byTenant.get(id) ?? []), ...(inDatabase ?? [])];
    },
  };
}

function add(book: Map<string, OwnWork[]>, key: string, work: OwnWork): void {
  const known = book.get(key);
  if (known === undefined) book.set(key, [work]);
  else known.push(work);
}

/** One that did not come to its end worked until its last sign of life at least. */
function workOf({ manifest, end, lastSignAt }: RunRecord, now: number): OwnWork {
  const from = Date.parse(manifest.startedAt);
  const to = end === null ? Math.min(lastSignAt.getTime(), now) : Date.parse(end.endedAt);
  return { from, to: Math.max(from, to), readsOnly: readers.has(manifest.command) };
}

async function readRecentRuns(stateFolder: string, since: number): Promise<readonly RunRecord[]> {
  const earliest = new Date(since)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '');
  const names = await readdir(path.join(stateFolder, recordFiles.runs)).catch(() => []);
  const records: RunRecord[] = [];
  for (const run of names.filter((name) => isRunId(name) && name >= earliest)) {
    // One that cannot be read was killed before it began.
    const record = await readRun(stateFolder, run).catch(() => null);
    if (record !== null) records.push(record);
  }
  return records;
}

/**
 * Writes down in which databases that are tenants a run had sessions: a server counts them like all others. Only where
 * the inventory says that tenants may sleep. When it cannot be written they count as use.
 */
export async function noteOwnSessions(
  context: Context,
  inventory: Inventory,
  seen: { readonly startedAt: Date; readonly tenants: readonly Tenant[]; readonly servers: Servers },
): Promise<void> {
  const { startedAt, tenants, servers } = seen;
  const isVisited = ({ server, database }: Tenant) => servers.hasVisited(server, database);
  const places = tenants.filter((tenant) => tenant.schema === null && isVisited(tenant));
  if (!inventory.hibernate.isSet || places.length === 0) return;
  const line: OwnSessions = {
    from: startedAt.getTime(),
    to: context.now().getTime(),
    places: places.map(({ server, database }) => [server, database]),
  };
  try {
    await writeOwnSessions(ownSessionsFile(inventory.state), line);
  } catch (error) {
    context.emit({
      type: 'notice',
      level: 'warning',
      message: `the sessions of this run cannot be written down: ${(error as Error).message}`,
      hint: '`tenantctl idle` will take them for use of the tenants',
    });
  }
}

/** Keeps the journal short. */
export async function forgetOwnSessions(inventory: Inventory, since: number, run: string): Promise<void> {
  await trimOwnSessions(ownSessionsFile(inventory.state), since, run);
}

import { textContent } from '../repository/content.ts';
import { inParallel } from '../repository/in-parallel.ts';
import { encodeName } from '../repository/names.ts';
import type { BackupStore } from '../repository/store.ts';

/** Stands in the store as `_departed/<tenant>.json` for as long as the fleet does not show a tenant that has backups. */
export interface Departure {
  readonly schema: 'tenantctl-departed/1';
  readonly tenant: string;
  /** RFC 3339, UTC: when a complete look at the fleet first did not show it. */
  readonly firstSeenAt: string;
  /** The run that saw it. */
  readonly run: string;
}

const folder = '_departed/';
const schema = 'tenantctl-departed/1';
/** Small files; more at once does not help a bucket. */
const atOnce = 16;

/** Who left and since when, by tenant. A record that cannot be understood counts as none: the time starts anew. */
export async function readDepartures(store: BackupStore): Promise<ReadonlyMap<string, Date>> {
  const keys: string[] = [];
  for await (const { key } of store.list(folder)) keys.push(key);
  const records = await inParallel(keys, atOnce, async (key) => {
    const bytes = await store.readSmall(key);
    return bytes === null ? null : parseDeparture(Buffer.from(bytes).toString());
  });
  return new Map(records.flatMap((record) => (record === null ? [] : [[record.tenant, record.since] as const])));
}

/**
 * What a complete look at the fleet makes of the records. `gone`: tenants that have backups and that the fleet does
 * not show. Records of all others go: they came back, or nothing of them is left.
 */
export function settleDepartures(
  known: ReadonlyMap<string, Date>,
  gone: readonly string[],
  now: Date,
): {
  readonly departed: ReadonlyMap<string, Date>;
  readonly born: readonly string[];
  readonly over: readonly string[];
} {
  const left = new Set(gone);
  return {
    departed: new Map(gone.map((tenant) => [tenant, known.get(tenant) ?? now])),
    born: gone.filter((tenant) => !known.has(tenant)),
    over: [...known.keys()].filter((tenant) => !left.has(tenant)),
  };
}

/** Writes down what `settleDepartures` found, for the runs to come. */
export async function writeDepartures(
  store: BackupStore,
  { born, over }: Pick<ReturnType<typeof settleDepartures>, 'born' | 'over'>,
  { now, run }: { readonly now: Date; readonly run: string },
): Promise<void> {
  // One that could not be understood stands in the way of its successor: a file is never written over.
  await store.remove([...over, ...born].map(departureKey));
  await inParallel(born, atOnce, (tenant) => {
    const record: Departure = { schema, tenant, firstSeenAt: now.toISOString(), run };
    return store.put(departureKey(tenant), textContent(`${JSON.stringify(record, null, 2)}\n`));
  });
}

function departureKey(tenant: string): string {
  return `${folder}${encodeName(tenant)}.json`;
}

function parseDeparture(json: string): { readonly tenant: string; readonly since: Date } | null {
  try {
    const record = JSON.parse(json) as Partial<Departure> | null;
    const since = new Date(record?.firstSeenAt ?? '');
    if (record?.schema !== schema || typeof record.tenant !== 'string' || Number.isNaN(since.getTime())) return null;
    return { tenant: record.tenant, since };
  } catch {
    return null;
  }
}

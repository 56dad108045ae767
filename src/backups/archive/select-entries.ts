import type { ArchiveEntry } from './archive-entry.ts';

/** What each schema gets of an archive. */
export interface Selection {
  /** In the order of the archive; a schema that the archive does not create gets none. */
  readonly bySchema: ReadonlyMap<string, readonly ArchiveEntry[]>;
  /** What belongs to none of the schemas. */
  readonly leftOut: readonly ArchiveEntry[];
}

/** They say how the rest is to be read: every archive has them. */
const everywhere = new Set(['ENCODING', 'STDSTRINGS', 'SEARCHPATH']);

/** They belong to what they are about, not to a namespace of their own. */
const about = new Set(['ACL', 'COMMENT', 'SECURITY LABEL']);

/** Their namespace is that of the table, but they are part of a publication or subscription, which no schema owns. */
const ofDatabase = new Set(['PUBLICATION TABLE', 'PUBLICATION TABLES IN SCHEMA', 'SUBSCRIPTION TABLE']);

const nobody = -1;
const everybody = -2;

/**
 * Sorts the entries of an archive to schemas, as `pg_dump -n` of each would choose them. What it costs grows with the
 * entries and not with entries times schemas. Names are compared as bytes.
 */
export function selectEntries(entries: readonly ArchiveEntry[], schemas: readonly string[]): Selection {
  const numbers = new Map(schemas.map((schema, number) => [asBytes(schema), number]));
  const owners = new Int32Array(entries.length);
  const ownerOf = new Map<number, number>();
  entries.forEach((entry, index) => {
    const owner = about.has(entry.kind) ? nobody : findOwner(entry, numbers);
    owners[index] = owner;
    if (owner >= 0) ownerOf.set(entry.dumpId, owner);
  });
  // Only now, for nothing says that what is written about an object comes after it.
  entries.forEach((entry, index) => {
    if (about.has(entry.kind)) owners[index] = findSubjectsOwner(entry, ownerOf);
  });
  return share(entries, owners, schemas, ownerOf);
}

function findOwner(entry: ArchiveEntry, numbers: ReadonlyMap<string, number>): number {
  if (everywhere.has(entry.kind)) return everybody;
  if (ofDatabase.has(entry.kind)) return nobody;
  const name = entry.kind === 'SCHEMA' ? entry.tagBytes : entry.namespaceBytes;
  return (name === null ? undefined : numbers.get(name)) ?? nobody;
}

function findSubjectsOwner(entry: ArchiveEntry, ownerOf: ReadonlyMap<number, number>): number {
  for (const id of entry.dependencies) {
    const owner = ownerOf.get(id);
    if (owner !== undefined) return owner;
  }
  return nobody;
}

function share(
  entries: readonly ArchiveEntry[],
  owners: Int32Array,
  schemas: readonly string[],
  ownerOf: ReadonlyMap<number, number>,
): Selection {
  const created = new Set<number>();
  const shares = schemas.map((): ArchiveEntry[] => []);
  const leftOut: ArchiveEntry[] = [];
  entries.forEach((entry, index) => {
    const owner = owners[index]!;
    if (owner === everybody) for (const entriesOfOne of shares) entriesOfOne.push(entry);
    else if (owner === nobody) leftOut.push(entry);
    else shares[owner]!.push(entry);
    if (entry.kind === 'SCHEMA' && ownerOf.has(entry.dumpId)) created.add(owner);
  });
  return {
    bySchema: new Map(schemas.map((schema, number) => [schema, created.has(number) ? shares[number]! : []])),
    leftOut,
  };
}

function asBytes(name: string): string {
  return Buffer.from(name, 'utf8').toString('latin1');
}

/** Large objects of all kinds of entries that pg_dump has for them. Before 17 each has its own, later up to a thousand share one. */
export function countArchivedLargeObjects(entries: readonly ArchiveEntry[]): number {
  let count = 0;
  for (const entry of entries) {
    if (entry.kind === 'BLOB') count += 1;
    if (entry.kind === 'BLOB METADATA')
      count += (entry.definition ?? '').split('\n').filter((oid) => oid !== '').length;
  }
  return count;
}

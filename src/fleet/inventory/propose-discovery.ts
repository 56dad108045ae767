import { matchGlob } from '../glob.ts';
import { groupNames, namesMatching } from './name-groups.ts';
import { isMaintenanceDatabase, isReservedDatabase, isReservedSchema } from './names.ts';
import { fillTemplate } from './template.ts';

/** A line for `discover`, with what it finds today. */
export type ProposedEntry = {
  readonly pattern: string;
  readonly names: readonly string[];
  readonly id: string | null;
} & ({ readonly kind: 'schemas'; readonly database: string } | { readonly kind: 'databases' });

/** Something that was seen and is in no entry: a database, or some of its schemas. */
export interface LeftOut {
  readonly database: string;
  /** Null: the database itself. */
  readonly schemas: readonly string[] | null;
  readonly reason: string;
}

export interface Proposal {
  readonly entries: readonly ProposedEntry[];
  readonly leftOut: readonly LeftOut[];
}

export interface ProposalInput {
  /** All databases that can be connected to. */
  readonly databases: readonly string[];
  /** Reads the schemas of one database; may reject. May be called for several at once, and again for the same one. */
  readonly readSchemas: (database: string) => Promise<readonly SeenSchema[]>;
  /** What the operator named; anything named here turns guessing off. */
  readonly patterns: { readonly schemas: string | null; readonly databases: string | null };
}

export interface SeenSchema {
  readonly name: string;
  readonly extension: string | null;
}

/** Databases of one group that are looked into, to see whether they are tenants or hold tenants. */
const sampleSize = 5;

/**
 * Who the tenants of a server seem to be: databases that are named alike, and schemas that are named alike in the other
 * databases. When most databases of a group hold such schemas, they are shards and not tenants.
 */
export async function proposeDiscovery(input: ProposalInput): Promise<Proposal> {
  const { patterns } = input;
  const candidates = input.databases.filter((name) => !isReservedDatabase(name));
  const found = await findDatabaseGroups(
    candidates.filter((name) => !isMaintenanceDatabase(name)),
    input,
  );
  const taken = new Set(found.groups.flatMap((group) => group.names));
  // `postgres` is never a tenant, but small fleets live in it.
  const others = candidates.filter((name) => !taken.has(name) && (name === 'postgres' || !isMaintenanceDatabase(name)));
  const databaseEntries = found.groups.map((group) => ({ ...group, kind: 'databases' as const, id: null }));
  if (patterns.databases !== null && patterns.schemas === null) {
    const reason = 'does not fit --databases';
    return { entries: databaseEntries, leftOut: others.map((database) => ({ database, schemas: null, reason })) };
  }
  const looked = await Promise.all(others.map((database) => lookInto(database, input)));
  return {
    entries: withDistinctIds([...looked.flatMap(entriesOf), ...databaseEntries]),
    leftOut: [...found.leftOut, ...looked.flatMap(leftOutOf)],
  };
}

type Group = { readonly pattern: string; readonly names: readonly string[] };

async function findDatabaseGroups(
  databases: readonly string[],
  input: ProposalInput,
): Promise<{ readonly groups: readonly Group[]; readonly leftOut: readonly LeftOut[] }> {
  const { schemas, databases: pattern } = input.patterns;
  if (pattern !== null) {
    const names = namesMatching(pattern, databases);
    return { groups: names.length === 0 ? [] : [{ pattern, names }], leftOut: [] };
  }
  if (schemas !== null) return { groups: [], leftOut: [] };
  const groups: Group[] = [];
  const leftOut: LeftOut[] = [];
  for (const group of groupNames(databases).groups) {
    const sample = await Promise.all(group.names.slice(0, sampleSize).map((database) => lookInto(database, input)));
    const shards = sample.filter((each) => each.groups.length > 0);
    if (shards.length * 2 > sample.length) continue;
    groups.push(group);
    for (const { database, groups: inside } of shards) {
      const names = inside.flatMap((each) => each.names);
      leftOut.push({ database, schemas: names, reason: `the database itself fits ${group.pattern}` });
    }
  }
  return { groups, leftOut };
}

interface Looked {
  readonly database: string;
  readonly groups: readonly Group[];
  /** In no group. */
  readonly rest: readonly string[];
  readonly extensions: readonly string[];
  readonly error: string | null;
}

async function lookInto(database: string, { readSchemas, patterns }: ProposalInput): Promise<Looked> {
  const nothing = { database, groups: [], rest: [], extensions: [], error: null };
  try {
    const seen = (await readSchemas(database)).filter(({ name }) => !isReservedSchema(name));
    const extensions = seen.filter((schema) => schema.extension !== null).map(({ name }) => name);
    if (patterns.schemas !== null) {
      const all = seen.map(({ name }) => name);
      const names = namesMatching(patterns.schemas, all);
      const groups = names.length === 0 ? [] : [{ pattern: patterns.schemas, names }];
      return { ...nothing, groups, rest: all.filter((name) => name !== 'public' && !names.includes(name)) };
    }
    const own = seen.filter(({ name, extension }) => extension === null && name !== 'public').map(({ name }) => name);
    return { ...nothing, ...groupNames(own), extensions };
  } catch (error) {
    return { ...nothing, error: error instanceof Error ? error.message : String(error) };
  }
}

function entriesOf({ database, groups }: Looked): readonly ProposedEntry[] {
  return groups.map((group) => ({ ...group, kind: 'schemas' as const, database, id: null }));
}

function leftOutOf({ database, groups, rest, extensions, error }: Looked): readonly LeftOut[] {
  if (error !== null) return [{ database, schemas: null, reason: `cannot be read: ${error}` }];
  return [
    ...(groups.length > 0 || rest.length > 0 ? [] : [{ database, schemas: null, reason: 'no schemas beside public' }]),
    ...(rest.length === 0 ? [] : [{ database, schemas: rest, reason: 'named like no other' }]),
    ...(extensions.length === 0 ? [] : [{ database, schemas: extensions, reason: 'made by an extension' }]),
  ];
}

/** The id is what `*` matched. Where two tenants would then have the same one, schemas give way first. */
function withDistinctIds(entries: readonly ProposedEntry[]): readonly ProposedEntry[] {
  const templates = [
    { kind: 'schemas', id: '{database}-{match}' },
    { kind: 'schemas', id: '{database}-{schema}' },
    { kind: 'databases', id: '{database}' },
  ] as const;
  return templates.reduce((before, { kind, id }) => {
    const owners = Map.groupBy(before.flatMap(idsOf), (each) => each);
    const clashes = (entry: ProposedEntry) => idsOf(entry).some((each) => (owners.get(each) ?? []).length > 1);
    return before.map((entry) => (entry.kind === kind && clashes(entry) ? { ...entry, id } : entry));
  }, entries);
}

/** As discovery will make them. */
function idsOf(entry: ProposedEntry): readonly string[] {
  const { pattern, names, id } = entry;
  return names.map((name) => {
    const match = matchGlob(pattern, name)?.join('-') ?? name;
    const database = entry.kind === 'schemas' ? entry.database : name;
    return id === null ? match : fillTemplate(id, { match, database, schema: name });
  });
}

import type { Toc, TocEntry } from '../archive/types.ts';

export interface CompareOptions {
  /** False: owners and grants were left out when it was restored. */
  readonly withOwners: boolean;
}

/** What differs between an archive and a dump of what was restored from it. */
export interface SchemaDifferences {
  /** Objects that one of them has and the other has not. */
  readonly objects: readonly string[];
  /** Objects that both have, of another owner or with another definition. */
  readonly definitions: readonly string[];
}

/** Data, settings of a session, and what is never restored into a scratch database. */
const leftOut: ReadonlySet<string> = new Set([
  'ENCODING',
  'STDSTRINGS',
  'SEARCHPATH',
  'DATABASE',
  'DATABASE PROPERTIES',
  'TABLE DATA',
  'SEQUENCE SET',
  'MATERIALIZED VIEW DATA',
  'STATISTICS DATA',
  'BLOB',
  'BLOBS',
  'BLOB METADATA',
  'PUBLICATION',
  'PUBLICATION TABLE',
  'PUBLICATION TABLES IN SCHEMA',
  'SUBSCRIPTION',
  'SUBSCRIPTION TABLE',
]);

/** ACLs, comments and labels name what they are about in their tag. */
const aboutLeftOut = /^(?:DATABASE|PUBLICATION|SUBSCRIPTION|LARGE OBJECTS?) /;
const isAbout: ReadonlySet<string> = new Set(['ACL', 'COMMENT', 'SECURITY LABEL']);

/** Compares entry by entry: kind, name, owner, definition. The lists name what differs, in the archive's order. */
export function compareSchemas(archive: Toc, restored: Toc, { withOwners }: CompareOptions): SchemaDifferences {
  const expected = groupEntries(archive.entries, withOwners);
  const found = groupEntries(restored.entries, withOwners);
  const objects: string[] = [];
  const definitions: string[] = [];
  for (const [name, entries] of expected) {
    const others = found.get(name) ?? [];
    if (others.length < entries.length) objects.push(`${name} is in the archive and was not restored`);
    else definitions.push(...compareGroup(name, entries, others, withOwners));
  }
  for (const [name, entries] of found) {
    if (entries.length > (expected.get(name)?.length ?? 0))
      objects.push(`${name} was restored and is not in the archive`);
  }
  return { objects, definitions };
}

/** Several entries of one name: the grants of a table's columns. Their order is nobody's promise. */
function compareGroup(
  name: string,
  entries: readonly TocEntry[],
  others: readonly TocEntry[],
  withOwners: boolean,
): readonly string[] {
  const rest = others.map((entry) => [normalise(entry.definition), entry.owner ?? ''] as const);
  const differences: string[] = [];
  for (const entry of entries) {
    const definition = normalise(entry.definition);
    const index = rest.findIndex(([text]) => text === definition);
    if (index < 0) {
      differences.push(`${name} has another definition than in the archive`);
      continue;
    }
    const [[, owner] = ['', '']] = rest.splice(index, 1);
    if (withOwners && owner !== (entry.owner ?? '')) {
      differences.push(`${name} belongs to ${owner} and in the archive to ${entry.owner}`);
    }
  }
  return differences;
}

function groupEntries(entries: readonly TocEntry[], withOwners: boolean): Map<string, TocEntry[]> {
  const groups = new Map<string, TocEntry[]>();
  for (const entry of entries) {
    const { kind, tag, namespace } = entry;
    if (leftOut.has(kind) || (isAbout.has(kind) && aboutLeftOut.test(tag))) continue;
    if (!withOwners && (kind === 'ACL' || kind === 'DEFAULT ACL')) continue;
    const name = `${kind} ${namespace === null ? '' : `${namespace}.`}${tag}`;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [entry]);
    else group.push(entry);
  }
  return groups;
}

/**
 * `status IN ('a', 'b')` of a varchar comes out of the catalogue with its casts and parentheses in other places once it
 * was restored: PostgreSQL parsed its own text. The rest of a definition comes out as it went in.
 */
function normalise(definition: string | null): string {
  return (definition ?? '')
    .replace(/::(?:character varying|text|bpchar|character)(?:\(\d+\))?(?:\[\])*/g, '')
    .replace(/[()]/g, '');
}

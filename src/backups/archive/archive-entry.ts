import { bytesAt, intAt, intBytes, textAt, textLengthAt } from './byte-reader.ts';
import { damaged } from './damage.ts';
import type { DataState, TocEntry } from './types.ts';

/** What differs between the versions of the format. */
export interface EntryLayout {
  /** Since 1.14: the access method of a table. */
  readonly hasAccessMethod: boolean;
  /** Since 1.16: the kind of a relation. */
  readonly hasRelationKind: boolean;
}

/** The fields after dumpId and hadDumper, in their order. Source: `ReadToc` of pg_backup_archiver.c. */
const field = {
  tableOid: 0,
  oid: 1,
  tag: 2,
  kind: 3,
  section: 4,
  definition: 5,
  dropStatement: 6,
  copyStatement: 7,
  namespace: 8,
  tablespace: 9,
  accessMethod: 10,
  relationKind: 11,
  owner: 12,
  withOids: 13,
  dependencies: 14,
  data: 15,
} as const;

/** State and offset of an entry's data: the last bytes of each entry. */
export const dataFieldBytes = 9;

export const stateCodes = { unset: 1, set: 2, none: 3 } as const;
const states: readonly (DataState | undefined)[] = [undefined, 'unset', 'set', 'none'];
const sections = [undefined, 'none', 'pre-data', 'data', 'post-data'] as const;

/** Where the fields of the entry begin that was walked last; no two are walked at once. */
const positions = new Int32Array(16);

/** Gives the end of the entry that begins there; negative: so many bytes are missing, at least. */
function walkEntry(bytes: Buffer, start: number, layout: EntryLayout, base: number): number {
  let at = start + 2 * intBytes;
  for (let name = 0; name < field.dependencies; name += 1) {
    positions[name] = at;
    if (name === field.accessMethod && !layout.hasAccessMethod) continue;
    if (name === field.relationKind && !layout.hasRelationKind) continue;
    if (at + intBytes > bytes.length) return bytes.length - at - intBytes;
    const isInt = name === field.section || name === field.relationKind;
    at += intBytes + (isInt ? 0 : Math.max(0, textLengthAt(bytes, at, base)));
  }
  positions[field.dependencies] = at;
  for (let length = 0; length >= 0; at += intBytes + Math.max(0, length)) {
    if (at + intBytes > bytes.length) return bytes.length - at - intBytes;
    length = textLengthAt(bytes, at, base);
  }
  positions[field.data] = at;
  const end = at + dataFieldBytes;
  return end > bytes.length ? bytes.length - end : end;
}

/**
 * One entry as it was read. Only what is needed to sort entries is decoded; the rest when it is asked for, from the
 * bytes, which live as long as the entry.
 */
export class ArchiveEntry implements TocEntry {
  readonly dumpId: number;
  readonly hasDumper: boolean;
  readonly kind: string;
  readonly section: TocEntry['section'];
  /** The namespace with one character for each of its bytes: names are compared as bytes. */
  readonly namespaceBytes: string | null;
  readonly #bytes: Buffer;
  readonly #start: number;
  readonly #dataAt: number;
  readonly #layout: EntryLayout;

  /** For `readEntry`, after it has walked the entry. */
  constructor(bytes: Buffer, start: number, layout: EntryLayout, base: number, names: Map<string, string>) {
    this.#bytes = bytes;
    this.#start = start;
    this.#layout = layout;
    this.#dataAt = positions[field.data]!;
    this.dumpId = intAt(bytes, start, base);
    const hadDumper = intAt(bytes, start + intBytes, base);
    const section = sections[intAt(bytes, positions[field.section]!, base)];
    const kind = bytesAt(bytes, positions[field.kind]!);
    const isEntry = this.dumpId > 0 && (hadDumper === 0 || hadDumper === 1) && section !== undefined && kind !== null;
    if (!isEntry || states[bytes[this.#dataAt]!] === undefined) {
      throw damaged('an entry of the table of contents that makes no sense', base + start);
    }
    this.hasDumper = hadDumper === 1;
    this.section = section;
    this.kind = shared(kind, names);
    const namespace = bytesAt(bytes, positions[field.namespace]!);
    this.namespaceBytes = namespace === null ? null : shared(namespace, names);
  }

  get tag(): string {
    return this.#text(field.tag) ?? '';
  }

  /** As `namespaceBytes`. */
  get tagBytes(): string {
    return bytesAt(this.#bytes, this.#find(field.tag)) ?? '';
  }

  get catalogId(): TocEntry['catalogId'] {
    return { tableOid: this.#text(field.tableOid) ?? '', oid: this.#text(field.oid) ?? '' };
  }

  get definition(): string | null {
    return this.#text(field.definition);
  }

  get dropStatement(): string | null {
    return this.#text(field.dropStatement);
  }

  get copyStatement(): string | null {
    return this.#text(field.copyStatement);
  }

  get namespace(): string | null {
    return this.#text(field.namespace);
  }

  get owner(): string | null {
    return this.#text(field.owner);
  }

  get dependencies(): readonly number[] {
    let at = this.#find(field.dependencies);
    const ids: number[] = [];
    for (;;) {
      const text = bytesAt(this.#bytes, at);
      if (text === null) return ids;
      ids.push(Number(text));
      at += intBytes + text.length;
    }
  }

  get data(): TocEntry['data'] {
    const state = states[this.#bytes[this.#dataAt]!]!;
    return { state, offset: this.#bytes.readBigUInt64LE(this.#dataAt + 1) };
  }

  get raw(): Buffer {
    return this.#bytes.subarray(this.#start, this.#dataAt);
  }

  get rawLength(): number {
    return this.#dataAt - this.#start;
  }

  /** Copies what `raw` gives; gives where it ends there. */
  copyRaw(target: Buffer, at: number): number {
    return at + this.#bytes.copy(target, at, this.#start, this.#dataAt);
  }

  #find(name: number): number {
    walkEntry(this.#bytes, this.#start, this.#layout, 0);
    return positions[name]!;
  }

  #text(name: number): string | null {
    return textAt(this.#bytes, this.#find(name));
  }
}

/**
 * Reads the entry that begins there. A negative number: so many bytes are missing, at least. `names` keeps one copy
 * of each name that many entries share.
 */
export function readEntry(
  bytes: Buffer,
  start: number,
  options: { readonly layout: EntryLayout; readonly base: number; readonly names: Map<string, string> },
): { readonly entry: ArchiveEntry; readonly end: number } | number {
  const end = walkEntry(bytes, start, options.layout, options.base);
  if (end < 0) return end;
  return { entry: new ArchiveEntry(bytes, start, options.layout, options.base, options.names), end };
}

function shared(name: string, names: Map<string, string>): string {
  const known = names.get(name);
  if (known !== undefined) return known;
  names.set(name, name);
  return name;
}

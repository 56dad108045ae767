/** A custom-format archive of pg_dump, as far as it must be understood to be split, checked and finished. */

/** What stands before the entries. Source: `ReadHead` of pg_backup_archiver.c. */
export interface ArchiveHeader {
  /** 1.14 is PostgreSQL 12 to 15, 1.15 is 16, 1.16 is 17 and 18. */
  readonly version: readonly [major: number, minor: number, revision: number];
  readonly intSize: number;
  readonly offsetSize: number;
  readonly compression: 'none' | 'gzip' | 'lz4' | 'zstd';
  readonly databaseName: string | null;
  readonly serverVersion: string | null;
  readonly dumpVersion: string | null;
  /** The bytes of the header up to, and without, the number of entries. */
  readonly raw: Buffer;
}

/** Where an entry's data is: `unset` in an archive that was written to a pipe. */
export type DataState = 'unset' | 'set' | 'none';

/** One object of the database. Texts are decoded as UTF-8, for pg_dump is told to write that. */
export interface TocEntry {
  readonly dumpId: number;
  readonly hasDumper: boolean;
  /** Oid of the catalogue table that the object stands in, and its own. */
  readonly catalogId: { readonly tableOid: string; readonly oid: string };
  readonly tag: string;
  /** `TABLE`, `TABLE DATA`, `SEQUENCE SET`, … */
  readonly kind: string;
  readonly section: 'none' | 'pre-data' | 'data' | 'post-data';
  readonly definition: string | null;
  readonly dropStatement: string | null;
  readonly copyStatement: string | null;
  readonly namespace: string | null;
  readonly owner: string | null;
  readonly dependencies: readonly number[];
  readonly data: { readonly state: DataState; readonly offset: bigint };
  /** The bytes of the entry up to, and without, the state and the offset of its data. */
  readonly raw: Buffer;
}

export interface Toc {
  readonly header: ArchiveHeader;
  readonly entries: readonly TocEntry[];
}

/** One table's rows as an archive holds them. */
export interface ArchivedTable {
  readonly schema: string;
  readonly name: string;
  /** Null: it cannot be known here (lz4, INSERT statements in place of COPY). */
  readonly rows: number | null;
  /** Bytes of its data as they stand in the archive. */
  readonly sizeBytes: number;
}

import type { Readable } from 'node:stream';

export interface StoredFile {
  readonly key: string;
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
}

/** Bytes that are complete: in memory, or in a local file that the store may take over. */
export type Content =
  | { readonly kind: 'bytes'; readonly sizeBytes: number; readonly chunks: readonly Uint8Array[] }
  /** `isOurs`: may be moved away in place of being copied. */
  | { readonly kind: 'file'; readonly sizeBytes: number; readonly path: string; readonly isOurs: boolean };

/** A folder or a bucket. Keys are paths with slashes, made by `names.ts`; each file is written once and never changed. */
export interface BackupStore {
  /** For messages: `./backups`, `s3://bucket/prefix`. */
  readonly name: string;
  /** Where a large file for that key is best put together, so that `put` need not copy it; null: any temporary folder. */
  spoolFolder(key: string): Promise<string | null>;
  /** All or nothing: a reader never sees a part, and when it resolves the bytes survive a power cut. */
  put(key: string, content: Content, signal?: AbortSignal): Promise<void>;
  /** The file of a key on this machine, for programs that read files; null: it is elsewhere. */
  localPath(key: string): string | null;
  /** Null: there is no such file. */
  read(key: string, signal?: AbortSignal): Promise<Readable | null>;
  /** All of a small file. */
  readSmall(key: string): Promise<Uint8Array | null>;
  /** All whose key begins with the prefix, in the order of their keys. */
  list(prefix: string): AsyncIterable<StoredFile>;
  /** What is not there is no error. */
  remove(keys: readonly string[]): Promise<void>;
  /** Takes away what runs that were killed left half written, where nothing was added since; gives back its names. */
  removeLeftovers(since: Date): Promise<readonly string[]>;
}

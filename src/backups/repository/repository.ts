import { rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { TenantError } from '../../errors.ts';
import type { Backup, Pin, ReceiptRecord, VerificationRecord, VerificationResult } from './backup.ts';
import { baseOf, filesBesideManifest, isEncrypted } from './backup-files.ts';
import { type BackupFilter, readCatalogue, readOne, readRecord } from './catalogue.ts';
import { textContent } from './content.ts';
import { decrypt, type Identities, NoKeyError } from './encryption.ts';
import type { BackupManifest, BackupSubject } from './manifest.ts';
import { archiveKey, baseKey } from './names.ts';
import { manifestText, pinText, readReceipt, readVerification, receiptText, verificationText } from './record-text.ts';
import { seal } from './seal.ts';
import { Spool } from './spool.ts';
import type { BackupStore, Content } from './store.ts';

export interface RepositoryOptions {
  readonly store: BackupStore;
  readonly copy: BackupStore | null;
  /** age recipients, checked by `checkRecipients`; empty: what is written is not encrypted. */
  readonly recipients: readonly string[];
  readonly identities: Identities | null;
  /** Whose backups the first place keeps; null, or not given: it has none yet. */
  readonly environment?: string | null;
  readonly now: () => Date;
}

/** What a manifest says of an archive that was stored. */
export type PutArchive = Pick<BackupManifest, 'archive' | 'file' | 'encryption'>;

/** Nobody works on a file for so long without adding a byte to it. */
const leftoverMs = 24 * 3_600_000;

/**
 * Backups in their places: the first one, and a copy of it where one is wanted. What goes wrong with the copy is told
 * (`copy-failed`) when the backup is complete in the first place, and not before.
 */
export class Repository {
  /** Of the first place, for messages. */
  readonly name: string;
  /** Whose backups the first place keeps; null: nothing was dumped there yet. */
  readonly environment: string | null;
  readonly #store: BackupStore;
  readonly #copy: BackupStore | null;
  readonly #recipients: readonly string[];
  readonly #identities: Identities | null;
  readonly #now: () => Date;
  readonly #spool = new Spool();
  /** Archives whose copy failed, by their manifests' way: it makes no sense to copy those then. */
  readonly #uncopied = new Map<string, unknown>();

  constructor({ store, copy, recipients, identities, environment = null, now }: RepositoryOptions) {
    this.name = store.name;
    this.environment = environment;
    this.#store = store;
    this.#copy = copy;
    this.#recipients = recipients;
    this.#identities = identities;
    this.#now = now;
  }

  /** The first place itself, for records that are of no backup: who left the fleet. */
  get store(): BackupStore {
    return this.#store;
  }

  /** The key that an archive put now gets: what `needs` of a manifest names. */
  keyOf(subject: BackupSubject, time: string): string {
    return archiveKey(subject, time, this.#recipients.length > 0);
  }

  /** A path where a large archive may be put together. What is to be encrypted never stands in the store in plain. */
  async spoolFile(subject: BackupSubject, time: string): Promise<string> {
    const key = this.keyOf(subject, time);
    return this.#spool.path(
      path.posix.basename(key),
      this.#recipients.length > 0 ? null : await this.#store.spoolFolder(key),
    );
  }

  /** Stores an archive; it becomes a backup by its manifest. A spooled file is moved away from where it was. */
  async putArchive(subject: BackupSubject, time: string, content: Content, signal?: AbortSignal): Promise<PutArchive> {
    const key = this.keyOf(subject, time);
    const spoolPath = async () => this.#spool.path(path.posix.basename(key), await this.#store.spoolFolder(key));
    const { archive, file, stored } = await seal(content, this.#recipients, spoolPath, signal);
    try {
      await this.#store.put(key, stored, signal);
      await this.#copyArchive(subject, time, stored, signal);
    } finally {
      if (stored !== content && stored.kind === 'file') await rm(stored.path, { force: true });
    }
    const encryption =
      this.#recipients.length === 0 ? null : ({ method: 'age', recipients: this.#recipients } as const);
    return { archive, file: { name: path.posix.basename(key), ...file }, encryption };
  }

  /** Makes a backup of what was stored. */
  async putManifest(manifest: BackupManifest, signal?: AbortSignal): Promise<void> {
    const { subject, time } = manifest;
    const base = baseKey(subject, time);
    const key = `${base}.json`;
    const content = textContent(manifestText(manifest));
    await this.#store.put(key, content, signal);
    const uncopied = this.#uncopied.get(base);
    this.#uncopied.delete(base);
    if (uncopied !== undefined) throw this.#copyError(uncopied);
    await this.#putCopy(key, content, signal);
  }

  /** Takes back the archive of a dump that came to nothing. */
  async removeArchive(subject: BackupSubject, time: string): Promise<void> {
    await this.removeArchives([subject], time);
  }

  /** Takes back archives of one dump; a manifest that nobody knows to be there or not goes first. */
  async removeArchives(subjects: readonly BackupSubject[], time: string): Promise<void> {
    if (subjects.length === 0) return;
    for (const subject of subjects) this.#uncopied.delete(baseKey(subject, time));
    for (const store of [this.#store, this.#copy]) {
      await store?.remove(subjects.map((subject) => `${baseKey(subject, time)}.json`));
      await store?.remove(subjects.map((subject) => this.keyOf(subject, time)));
    }
  }

  /** By subject, the newest first; also what is no backup, with the reason in `state` and `problem`. */
  async listBackups(filter: BackupFilter = {}): Promise<readonly Backup[]> {
    return readCatalogue(this.#store, filter);
  }

  /** By the key of one of its files without the ending, or with the archive's: as `needs` of a manifest names it. */
  async findBackup(key: string): Promise<Backup | null> {
    return readOne(this.#store, key.replace(/\.(?:dump|sql)(?:\.age)?$/, ''));
  }

  /** The archive as pg_restore takes it. */
  async openArchive(backup: Backup, signal?: AbortSignal): Promise<Readable> {
    const file = await this.readFile(backup, signal);
    if (!isEncrypted(backup)) return file;
    try {
      return Readable.from(await decrypt(file, this.#identities?.keys ?? []), { objectMode: false });
    } catch (error) {
      file.destroy();
      throw error instanceof NoKeyError ? this.#noKey(backup, error) : error;
    }
  }

  /** The archive's own file on this machine, where it is one that pg_restore can read by itself; else null. */
  localArchive(backup: Backup): string | null {
    return backup.keys.file === null || isEncrypted(backup) ? null : this.#store.localPath(backup.keys.file);
  }

  /** The file as it is stored. */
  async readFile(backup: Backup, signal?: AbortSignal): Promise<Readable> {
    const { file } = backup.keys;
    const stream = file === null ? null : await this.#store.read(file, signal);
    if (stream !== null) return stream;
    const name = file ?? `${baseOf(backup)}.dump`;
    throw new TenantError({ message: `the archive ${name} is not in ${this.name}`, code: 'archive-missing' });
  }

  /** Adds to what is known of a backup: the newest result of each level stays. */
  async putVerification(backup: Backup, result: VerificationResult): Promise<void> {
    const key = `${baseOf(backup)}.verified.json`;
    const read = await readRecord(this.#store, key, readVerification);
    const earlier = read !== null && 'value' in read ? read.value.results : [];
    const results = [...earlier.filter(({ level }) => level !== result.level), result];
    const record: VerificationRecord = { schema: 'tenantctl-verification/1', results };
    await this.#putBoth(key, textContent(verificationText(record)));
  }

  async putPin(backup: Backup, pin: Pin): Promise<void> {
    await this.#putBoth(`${baseOf(backup)}.pin.json`, textContent(pinText(pin)));
  }

  /** What it takes to wake the tenant from this backup: from now on it does not expire, until the receipt is ended. */
  async putReceipt(backup: Backup, receipt: object): Promise<void> {
    await this.#putReceipt(backup, { schema: 'tenantctl-receipt-file/1', wokenAt: null, receipt });
  }

  /** What it takes to wake a tenant from this backup, whether it was woken since or not; null: nothing that can be read. */
  async readReceipt(backup: Backup): Promise<object | null> {
    const read = await readRecord(this.#store, receiptKey(backup), readReceipt);
    return read !== null && 'value' in read ? read.value.receipt : null;
  }

  /** The tenant was woken, or never went to sleep after all: the backup is one like others. Without a receipt nothing is done. */
  async endReceipt(backup: Backup): Promise<void> {
    const read = await readRecord(this.#store, receiptKey(backup), readReceipt);
    if (read === null) return;
    const wokenAt = this.#now().toISOString();
    // What cannot be read any more is not to be kept either.
    const receipt = 'value' in read ? read.value.receipt : {};
    await this.#putReceipt(backup, { schema: 'tenantctl-receipt-file/1', wokenAt, receipt });
  }

  async #putReceipt(backup: Backup, record: ReceiptRecord): Promise<void> {
    await this.#putBoth(receiptKey(backup), textContent(receiptText(record)));
  }

  async removePin(backup: Backup): Promise<void> {
    const keys = [`${baseOf(backup)}.pin.json`];
    await this.#store.remove(keys);
    await this.#copy?.remove(keys);
  }

  /** Removes them from both places, whatever is pinned: who asks for it has looked. */
  async removeBackups(backups: readonly Backup[]): Promise<void> {
    for (const store of [this.#store, this.#copy]) {
      // The manifest first: what is left by a power cut is no backup, and nobody takes it for one.
      await store?.remove(backups.map((backup) => `${baseOf(backup)}.json`));
      await store?.remove(backups.flatMap(filesBesideManifest));
    }
  }

  /** Takes away what killed runs left half written; gives back the names. */
  async removeLeftovers(): Promise<readonly string[]> {
    const since = new Date(this.#now().getTime() - leftoverMs);
    const removed = await this.#store.removeLeftovers(since);
    return [...removed, ...((await this.#copy?.removeLeftovers(since)) ?? [])];
  }

  /** At the end (`await using`): takes away the temporary folder of large archives. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#spool.close();
  }

  async #copyArchive(subject: BackupSubject, time: string, stored: Content, signal?: AbortSignal): Promise<void> {
    if (this.#copy === null) return;
    const key = this.keyOf(subject, time);
    // A spooled file may have been moved away by now.
    const moved = stored.kind === 'file' && stored.isOurs ? this.#store.localPath(key) : null;
    const content = moved === null ? stored : { ...stored, path: moved, isOurs: false };
    try {
      await this.#copy.put(key, content as Content, signal);
    } catch (error) {
      signal?.throwIfAborted();
      this.#uncopied.set(baseKey(subject, time), error);
    }
  }

  async #putBoth(key: string, content: Content): Promise<void> {
    await this.#store.put(key, content);
    await this.#putCopy(key, content);
  }

  async #putCopy(key: string, content: Content, signal?: AbortSignal): Promise<void> {
    try {
      await this.#copy?.put(key, content, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#copyError(error);
    }
  }

  #copyError(cause: unknown): TenantError {
    const hint = cause instanceof TenantError ? cause.failure.hint : undefined;
    return new TenantError(
      {
        message: `it is in ${this.name}, but not in its second place: ${(cause as Error).message}`,
        code: 'copy-failed',
        ...(hint !== undefined && { hint }),
      },
      { cause },
    );
  }

  #noKey(backup: Backup, cause: Error): TenantError {
    const recipients = backup.manifest?.encryption?.recipients ?? [];
    const needed = recipients.length === 0 ? 'age' : `age for ${recipients.join(', ')}`;
    const why = this.#identities === null ? 'no key was given' : `${this.#identities.file} has no key of these`;
    return new TenantError(
      {
        message: `the backup is encrypted with ${needed}, and ${why}`,
        code: 'no-key',
        hint: 'name the file with the key of one of them: --identity <file>, or TENANTCTL_IDENTITY',
      },
      { cause },
    );
  }
}

function receiptKey(backup: Backup): string {
  return `${baseOf(backup)}.receipt.json`;
}

import { setTimeout as delay } from 'node:timers/promises';
import { TenantError } from '../../errors.ts';
import type { FinishedArchive } from '../archive/finish-archive.ts';
import type { BackupSubject } from '../repository/manifest.ts';
import type { PutArchive, Repository } from '../repository/repository.ts';
import { namedRoles } from './named-roles.ts';

/** Archives that are being written to the store while pg_dump goes on. */
const mostInFlight = 4;
const mostBytesInFlight = 32_000_000;

/** A store that refuses so many archives one after the other is away: no more are tried. */
const mostRefusedInARow = 8;

/** Who interrupts a run does not wait longer for a store to be tidied. */
const tidyingMs = 5000;

/** An archive that is in the store, without a manifest yet. */
export interface StoredArchive {
  readonly subject: BackupSubject;
  readonly time: string;
  readonly put: PutArchive;
  readonly tables: FinishedArchive['tables'];
  readonly header: FinishedArchive['header'];
  /** Owners and grantees that its SQL names. */
  readonly roles: readonly string[];
  readonly hasSequences: boolean;
}

/** The store refuses one archive after the other. */
export class StoreGoneError extends Error {
  override readonly name = 'StoreGoneError';
  readonly lastRefusal: TenantError;

  constructor(lastRefusal: TenantError) {
    super(lastRefusal.message);
    this.lastRefusal = lastRefusal;
  }
}

/** What became of an archive. */
export interface WrittenTo {
  readonly stored: (stored: StoredArchive) => void;
  readonly refused: (error: TenantError) => void;
}

/** Is it the store that failed, and not the server? */
export function isStoreError(error: unknown): error is TenantError {
  return error instanceof TenantError && error.failure.code === 'store';
}

/** Writes finished archives to the store, a few at a time, so that pg_dump does not wait for each flush. */
export class ArchiveWriter {
  readonly #repository: Repository;
  readonly #time: string;
  readonly #signal: AbortSignal;
  readonly #writing = new Set<Promise<void>>();
  /** What may stand in the store. */
  readonly #begun = new Set<BackupSubject>();
  #bytes = 0;
  #refusedInARow = 0;
  #error: unknown = null;

  constructor(repository: Repository, time: string, signal: AbortSignal) {
    this.#repository = repository;
    this.#time = time;
    this.#signal = signal;
  }

  /** Resolves when there is room for the next one. */
  async write(subject: BackupSubject, archive: FinishedArchive, to: WrittenTo): Promise<void> {
    const { sizeBytes } = archive.content;
    this.#bytes += sizeBytes;
    const writing = this.#put(subject, archive, to)
      .catch((error: unknown) => {
        this.#error ??= error;
      })
      .finally(() => {
        this.#writing.delete(writing);
        this.#bytes -= sizeBytes;
      });
    this.#writing.add(writing);
    while (this.#writing.size >= mostInFlight || (this.#writing.size > 0 && this.#bytes > mostBytesInFlight)) {
      await Promise.race(this.#writing);
    }
    if (this.#error !== null) throw this.#error;
  }

  async finish(): Promise<void> {
    await Promise.all(this.#writing);
    if (this.#error !== null) throw this.#error;
  }

  async takeBack(): Promise<void> {
    await Promise.all(this.#writing);
    await takeBack(this.#repository, [...this.#begun], this.#time, this.#signal);
  }

  async #put(subject: BackupSubject, archive: FinishedArchive, to: WrittenTo): Promise<void> {
    try {
      this.#begun.add(subject);
      const put = await this.#repository.putArchive(subject, this.#time, archive.content, this.#signal);
      this.#refusedInARow = 0;
      const { tables, header, entries } = archive;
      const hasSequences = entries.some(({ kind }) => kind === 'SEQUENCE SET');
      to.stored({ subject, time: this.#time, put, tables, header, roles: namedRoles(entries), hasSequences });
    } catch (error) {
      if (!isStoreError(error)) throw error;
      // What stands there now is not ours.
      this.#begun.delete(subject);
      to.refused(error);
      this.#refusedInARow += 1;
      if (this.#refusedInARow >= mostRefusedInARow) throw new StoreGoneError(error);
    } finally {
      await archive.discard();
    }
  }
}

/** Removes what was stored in vain; what cannot be removed has no manifest and is no backup. */
export async function takeBack(
  repository: Repository,
  subjects: readonly BackupSubject[],
  time: string,
  signal: AbortSignal,
): Promise<void> {
  const removing = repository.removeArchives(subjects, time).catch(() => {});
  await (signal.aborted ? Promise.race([removing, delay(tidyingMs, undefined, { ref: false })]) : removing);
}

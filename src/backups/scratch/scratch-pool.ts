import type { BackupManifest } from '../repository/manifest.ts';
import type { PreparedScratch } from './prepare-scratch.ts';
import type { ScratchDatabase, ScratchServer } from './scratch.ts';

/** A database in which what its tenants share stands already. */
export interface ScratchPlace extends PreparedScratch {
  readonly database: ScratchDatabase;
  /** Nobody else shall get it: something was left in it that could not be taken away. */
  spoil(): void;
}

interface Shared {
  readonly place: Promise<ScratchPlace>;
  users: number;
}

/** Databases that nobody uses just now and that are kept for the next tenant with the same shared archive. */
const mostIdle = 2;

export type PreparePlace = (database: ScratchDatabase, manifest: BackupManifest) => Promise<PreparedScratch>;

/**
 * Lends scratch databases. Tenants that were schemas of one database and whose archives go with the same shared archive
 * use one together, for their schemas are distinct; a tenant that was a whole database has one of its own.
 */
export class ScratchPool {
  readonly server: ScratchServer;
  readonly #prepare: PreparePlace;
  /** Those used last stand last. */
  readonly #shared = new Map<string, Shared>();
  /** Nobody gets these any more; each goes with its last user. */
  readonly #spoiled = new Set<Shared>();

  constructor(server: ScratchServer, prepare: PreparePlace) {
    this.server = server;
    this.#prepare = prepare;
  }

  /** `alone`: nobody else's schema may stand beside it. */
  async use<T>(
    manifest: BackupManifest,
    { alone }: { readonly alone: boolean },
    work: (place: ScratchPlace) => Promise<T>,
  ): Promise<T> {
    if (alone || manifest.place.schema === null) return this.#useAlone(manifest, work);
    const { server, database } = manifest.place;
    const key = JSON.stringify([server, database, manifest.needs.shared, manifest.needs.rolesFile]);
    const shared = this.#take(key, manifest);
    try {
      return await work(await shared.place);
    } finally {
      shared.users -= 1;
      await this.#dropIdle();
    }
  }

  async #useAlone<T>(manifest: BackupManifest, work: (place: ScratchPlace) => Promise<T>): Promise<T> {
    const place = await this.#make(manifest, () => {});
    try {
      return await work(place);
    } finally {
      await place.database.drop();
    }
  }

  #take(key: string, manifest: BackupManifest): Shared {
    const shared = this.#shared.get(key) ?? this.#begin(key, manifest);
    shared.users += 1;
    this.#shared.delete(key);
    this.#shared.set(key, shared);
    return shared;
  }

  #begin(key: string, manifest: BackupManifest): Shared {
    const spoil = () => {
      if (this.#shared.get(key) === shared) this.#shared.delete(key);
      this.#spoiled.add(shared);
    };
    const shared: Shared = { place: this.#make(manifest, spoil), users: 0 };
    shared.place.catch(spoil);
    return shared;
  }

  async #make(manifest: BackupManifest, spoil: () => void): Promise<ScratchPlace> {
    const database = await this.server.createDatabase();
    try {
      return { ...(await this.#prepare(database, manifest)), database, spoil };
    } catch (error) {
      await database.drop().catch(() => {});
      throw error;
    }
  }

  async #dropIdle(): Promise<void> {
    const isIdle = ({ users }: Shared) => users === 0;
    const sound = [...this.#shared].filter(([, shared]) => isIdle(shared));
    for (const [key] of sound.slice(0, Math.max(0, sound.length - mostIdle))) this.#retire(key);
    for (const shared of [...this.#spoiled].filter(isIdle)) {
      this.#spoiled.delete(shared);
      // What cannot be dropped now goes when the server is closed.
      await shared.place.then(({ database }) => database.drop()).catch(() => {});
    }
  }

  #retire(key: string): void {
    this.#spoiled.add(this.#shared.get(key)!);
    this.#shared.delete(key);
  }
}

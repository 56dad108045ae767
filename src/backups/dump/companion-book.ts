import { TenantError } from '../../errors.ts';
import { toFailure } from '../../postgres/failure.ts';
import { isTransient } from '../../postgres/sqlstates.ts';
import { type DumpedDatabase, dumpLargeObjects, dumpShared } from './companions.ts';
import type { DumpedPlace } from './dumped-place.ts';
import type { Companions } from './manifests.ts';
import type { DumpTools } from './run-dump.ts';
import { findLargeObjectColumns } from './snapshot.sql.ts';
import type { Snapshot } from './snapshot-holder.ts';

export interface CompanionBookOptions {
  readonly place: DumpedPlace;
  readonly dump: DumpTools;
  readonly database: DumpedDatabase;
  /** False: a tenant with a database of its own takes all of it along. */
  readonly hasSchemas: boolean;
}

/** What was taken beside the tenants of one snapshot. */
export interface TakenCompanions {
  readonly keys: Companions;
  /** What is lacking, and why: it stands in the manifests and in the report. */
  readonly lacking: readonly string[];
  /** Columns that may name large objects, by schema; null when the database has no large object. */
  readonly largeObjectColumns: ReadonlyMap<string, readonly string[]> | null;
}

/** What tenants need beside their own archives, taken once a snapshot whoever asks first. */
export class CompanionBook {
  readonly #options: CompanionBookOptions;
  readonly #taken = new Map<number, Promise<TakenCompanions>>();

  constructor(options: CompanionBookOptions) {
    this.#options = options;
  }

  get database(): DumpedDatabase {
    return this.#options.database;
  }

  /**
   * Waits for what is being taken. A lost connection is thrown, and whoever asks next takes it again; anything else is
   * told as lacking: it must not cost all tenants their backups.
   */
  of(snapshot: Snapshot, signal: AbortSignal): Promise<TakenCompanions> {
    let taken = this.#taken.get(snapshot.number);
    if (taken === undefined) {
      taken = this.#take(snapshot, signal);
      this.#taken.set(snapshot.number, taken);
      taken.catch(() => this.#taken.delete(snapshot.number));
    }
    return taken;
  }

  async #take(snapshot: Snapshot, signal: AbortSignal): Promise<TakenCompanions> {
    const { place, dump, database, hasSchemas } = this.#options;
    const lacking: string[] = [];
    const attempt = async (what: string, work: () => Promise<string | null>): Promise<string | null> => {
      try {
        return await work();
      } catch (error) {
        if (isTransient(error) || signal.aborted || place.holder.isLost(snapshot)) throw error;
        // A server that has no connection for pg_dump now has one later.
        await place.ask(async () => {});
        lacking.push(`${what}: ${toFailure(error).message}`);
        place.onLacking(`${place.server}/${place.database}: ${what}: ${toFailure(error).message}`);
        return null;
      }
    };
    const rolesFile = await place.rolesFile(dump, snapshot.session);
    const onUncopied = (message: string) => {
      place.onLacking(`${place.server}/${place.database}: what its tenants share: ${message}`);
    };
    const options = { dump, facts: place.facts, database, rolesFile, signal, ask: place.ask, onUncopied };
    const shared = hasSchemas
      ? await attempt('what its tenants share could not be dumped', () => dumpShared(options, snapshot, place.holder))
      : null;
    const largeObjects = hasSchemas
      ? await attempt('its large objects could not be dumped', () => dumpLargeObjects(options, snapshot))
      : null;
    const schemas = place.tenants.flatMap(({ schema }) => schema ?? []);
    const largeObjectColumns = largeObjects === null ? null : await findLargeObjectColumns(snapshot.session, schemas);
    if (signal.aborted) throw new TenantError({ message: 'cancelled', code: 'cancelled' });
    return { keys: { shared, rolesFile, largeObjects }, lacking, largeObjectColumns };
  }
}

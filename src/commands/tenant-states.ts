import type { Context } from '../context.ts';
import { placeKey, type Tenant } from '../fleet/tenant.ts';
import type { SleepWay, TenantSleep } from '../fleet/tenant-state.ts';
import type { SourceReport } from '../output/result.ts';
import { toFailure } from '../postgres/failure.ts';
import type { Servers } from '../postgres/servers.ts';
import type { SessionPools } from '../postgres/session-pools.ts';
import { type RowPlace, readTenantRows, rowsDenied, type SleepRow } from '../postgres/tenant-rows.ts';
import { applicationName, prepareReader } from '../postgres/tenant-session.ts';

/** One database of one server. */
export interface DatabasePlace {
  readonly server: string;
  readonly database: string;
}

/** Where it is written down that a tenant sleeps: with its data; for one whose whole database may go, beside it. */
export function homeOf(servers: Servers, tenant: Tenant): DatabasePlace {
  const { server, database, schema } = tenant;
  return { server, database: schema === null ? servers.homeDatabase(server) : database };
}

interface StatesAccess {
  readonly context: Pick<Context, 'emit'>;
  readonly options: { readonly mode: 'read' | 'change' };
  readonly run: string;
  readonly servers: Servers;
  readonly pools: SessionPools;
}

export interface KnownStates {
  readonly sleeping: ReadonlyMap<Tenant, TenantSleep>;
  /** Where the login may not see who sleeps, for commands that change things. */
  readonly unread: readonly SourceReport[];
  /** Nobody could be asked whether they sleep: they are worked on as if they did not. */
  readonly unknown: ReadonlySet<Tenant>;
}

/** What the databases say of tenants that sleep. Each is asked once, and not at all where discovery was there before. */
export class TenantStates {
  readonly #access: StatesAccess;
  /** By the database that was read, then by what `rowKey` says. */
  readonly #rows = new Map<string, ReadonlyMap<string, SleepRow>>();
  /** Databases that did not say. */
  readonly #unread = new Map<string, SourceReport>();

  constructor(access: StatesAccess) {
    this.#access = access;
  }

  /** What somebody who was there for another reason has read. */
  note(place: DatabasePlace, rows: readonly SleepRow[]): void {
    this.#rows.set(placeKey(place), new Map(rows.map((row) => [rowKey(row), row])));
  }

  /** The same of somebody who was not told. */
  noteUnread(place: DatabasePlace, error: unknown): void {
    this.#unread.set(placeKey(place), { ...place, error: toFailure(error) });
  }

  /** Who of these sleeps. `asks` false: as far as it is known without asking anybody. */
  async of(tenants: readonly Tenant[], { asks }: { readonly asks: boolean }): Promise<KnownStates> {
    const unread = asks ? await this.#ask(tenants) : [];
    const sleeping = tenants.flatMap((tenant) => {
      const row = this.#find(tenant);
      return row === undefined ? [] : [[tenant, toSleep(row)] as const];
    });
    return {
      sleeping: new Map(sleeping),
      unread,
      unknown: new Set(tenants.filter((tenant) => this.#isUnread(tenant))),
    };
  }

  #isUnread(tenant: Tenant): boolean {
    const home = this.#home(tenant);
    return 'error' in home || this.#unread.has(placeKey(home));
  }

  #find(tenant: Tenant): SleepRow | undefined {
    const home = this.#home(tenant);
    return 'error' in home ? undefined : this.#rows.get(placeKey(home))?.get(rowKey(tenant));
  }

  /** All databases that nobody has read yet; returns those whose rows the login may not see. */
  async #ask(tenants: readonly Tenant[]): Promise<readonly SourceReport[]> {
    const all = tenants.map((tenant) => this.#home(tenant));
    const homes = new Map(all.flatMap((home) => ('error' in home ? [] : [[placeKey(home), home] as const])));
    const isNew = (key: string) => !this.#rows.has(key) && !this.#unread.has(key);
    await Promise.all([...homes].flatMap(([key, home]) => (isNew(key) ? [this.#askHome(home)] : [])));
    const failures = [
      ...all.filter((home) => 'error' in home),
      ...[...homes.keys()].flatMap((key) => this.#unread.get(key) ?? []),
    ];
    const isDenied = ({ error }: SourceReport) => error.code === rowsDenied;
    const denied = failures.filter(isDenied);
    if (this.#access.options.mode === 'read') {
      this.#say(denied, 'it is not known who sleeps');
      return [];
    }
    this.#say(
      failures.filter((each) => !isDenied(each)),
      'nobody can be asked who sleeps',
    );
    return denied;
  }

  /** Settings that are no good are told by who connects with them; who only lists needs none. */
  #home(tenant: Tenant): DatabasePlace | SourceReport {
    try {
      return homeOf(this.#access.servers, tenant);
    } catch (error) {
      return { server: tenant.server, database: null, error: toFailure(error) };
    }
  }

  async #askHome(home: DatabasePlace): Promise<void> {
    try {
      this.note(home, await this.#read(home));
    } catch (error) {
      this.noteUnread(home, error);
    }
  }

  #read({ server, database }: DatabasePlace): Promise<readonly SleepRow[]> {
    return this.#access.pools.use(server, database, async (session) => {
      const prepared = prepareReader(session, applicationName(this.#access.run, 'discovery'));
      const [rows] = await Promise.all([readTenantRows(session), prepared]);
      return rows;
    });
  }

  /**
   * A database that is missing, closed or full is told by whoever works in it, if anybody does. That nobody could be
   * asked whether a closed one sleeps is told here, once a server, to whoever may change it.
   */
  #say(failures: readonly SourceReport[], what: string): void {
    for (const [server, [first]] of Map.groupBy(failures, (each) => each.server)) {
      if (first === undefined) continue;
      const where = first.database === null ? '' : `, database ${first.database}`;
      this.#access.context.emit({
        type: 'notice',
        level: 'warning',
        message: `server ${server}${where}: ${what}: ${first.error.message}`,
        hint: `tenants that were put to sleep there count as active in this run${
          first.error.code === rowsDenied ? `; ${first.error.hint}` : ''
        }`,
      });
    }
  }
}

/** What a row says of a database of another name is about the one that this was copied from. */
function rowKey({ database, schema }: RowPlace): string {
  return `${database}\0${schema ?? ''}`;
}

function toSleep({ state, how, run, since, applied, isNameTaken }: SleepRow): TenantSleep {
  // Only tenantctl writes there.
  return { state, how: how as SleepWay, run, since, applied, isNameTaken };
}

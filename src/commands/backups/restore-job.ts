import type { Readable } from 'node:stream';
import type { Repository } from '../../backups/repository/repository.ts';
import { type CheckedArchive, checkWholeArchive } from '../../backups/restore/checked-archive.ts';
import {
  closedRemark,
  giveArchivedProperties,
  isDatabaseRestored,
  restoreDatabase,
  type ServerAccess,
} from '../../backups/restore/restore-database.ts';
import { restoreRows } from '../../backups/restore/restore-rows.ts';
import { isRestored, restoreSchema } from '../../backups/restore/restore-schema.ts';
import type { Restored, RestoreJob } from '../../backups/restore/restore-types.ts';
import { sessionRunner } from '../../backups/restore/sql-text.ts';
import { refuseConnected, swapDatabases } from '../../backups/restore/swap-database.ts';
import type { Context } from '../../context.ts';
import type { TakeOptions } from '../../migrations/take-tenant.ts';
import { tenantKey } from '../../postgres/advisory-locks.ts';
import { lockTenant } from '../../postgres/lock-wait.ts';
import { programEnv } from '../../postgres/program-env.ts';
import type { Session } from '../../postgres/session.ts';
import { prepareSession } from '../../postgres/tenant-session.ts';
import type { Fleet } from '../open-fleet.ts';
import type { RestoreOptions } from './restore-options.ts';
import type { PlannedRestore } from './restore-plan.ts';
import { serverMajor, type ToolsFor } from './restore-tools.ts';
import type { RestoreValue } from './restore-value.ts';
import { swapEarlier } from './swap-earlier.ts';

/** Connections of one tenant: the session that holds its locks, and the program that restores. */
export const connectionsOfRestore = 2;

/** Restores tenants, one at a time each on a session of its own. */
export class Restorer {
  readonly #context: Context;
  readonly #fleet: Fleet;
  readonly #repository: Repository;
  readonly #tools: ToolsFor;
  readonly #options: RestoreOptions;
  /** Those that were checked for an attempt that is made again. */
  readonly #archives = new Map<PlannedRestore, CheckedArchive>();

  constructor(context: Context, fleet: Fleet, repository: Repository, tools: ToolsFor, options: RestoreOptions) {
    this.#context = context;
    this.#fleet = fleet;
    this.#repository = repository;
    this.#tools = tools;
    this.#options = options;
  }

  async restore(session: Session, planned: PlannedRestore, take: TakeOptions): Promise<RestoreValue> {
    const { tenant, earlier } = planned;
    if (earlier === null) {
      take.onStep('checking the archive');
      await this.#check(planned, take.signal);
    }
    take.onStep('locking the tenant');
    await lock(session, planned, take);
    if (earlier !== null) {
      const access = this.#access(session, planned, take);
      take.onStep('swapping');
      if (tenant.schema === null) await this.#fleet.pools.closeIdle(tenant.server, tenant.database);
      return swapEarlier(sessionRunner(session), planned, {
        value: earlier,
        access,
        run: take.run,
        options: this.#options,
      });
    }
    return this.restoreHeld(session, planned, take);
  }

  /** The same for who holds the tenant's locks on that session already, and puts nothing in its place. */
  async restoreHeld(session: Session, planned: PlannedRestore, take: TakeOptions): Promise<RestoreValue> {
    const { tenant, way, chosen } = planned;
    await this.#check(planned, take.signal);
    const beganAt = performance.now();
    const { manifest } = chosen;
    const job: RestoreJob = {
      ...{ tenant: tenant.id, run: take.run, manifest, way, signal: take.signal, onStep: take.onStep },
      ...planned.hooks,
      tools: this.#tools(planned),
      serverMajor: serverMajor(this.#fleet, tenant),
      lockTimeoutMs: take.lockTimeoutMs,
    };
    const done = await this.#work(session, planned, job, take);
    this.#archives.delete(planned);
    return this.#value(planned, done, performance.now() - beganAt);
  }

  async #check(planned: PlannedRestore, signal: AbortSignal): Promise<void> {
    if (this.#archives.has(planned)) return;
    const { backup, manifest } = planned.chosen;
    const open = (whileOpen: AbortSignal): Promise<Readable> => this.#repository.openArchive(backup, whileOpen);
    this.#archives.set(planned, await checkWholeArchive(open, manifest, signal));
  }

  async #work(session: Session, planned: PlannedRestore, job: RestoreJob, take: TakeOptions): Promise<Done> {
    const archive = this.#archives.get(planned)!;
    const runner = sessionRunner(session);
    const access = this.#access(session, planned, take);
    const { rows } = this.#options;
    const psql = async () => ({
      env: await access.envFor(planned.workplace.database),
      endBackend: async (pid: number) => {
        await runner.rows(`SELECT pg_catalog.pg_terminate_backend(${Math.trunc(pid)})`);
      },
    });
    if (rows !== null) return { old: null, ...(await restoreRows({ ...job, ...rows }, archive, await psql())) };
    if (planned.tenant.schema === null) return this.#restoreDatabase(session, planned, job, access);
    if (await isRestored(runner, job)) return { old: job.way.oldName, remarks: [] };
    return restoreSchema(job, archive, await psql());
  }

  /** What is to have the tenant's own name gets it when it is complete. */
  async #restoreDatabase(
    session: Session,
    planned: PlannedRestore,
    job: RestoreJob,
    access: ServerAccess,
  ): Promise<Restored> {
    const { tenant, way } = planned;
    const runner = sessionRunner(session);
    const archive = this.#archives.get(planned)!;
    const takesName = way.to.database === tenant.database;
    const beside = takesName ? way.parkedName : way.to.database;
    const besideJob = { ...job, living: tenant.database, way: { ...way, to: { ...way.to, database: beside } } };
    if (takesName) {
      job.onStep('looking who is connected');
      await this.#fleet.pools.closeIdle(tenant.server, tenant.database);
      if (!this.#options.disconnect) await refuseConnected(runner, tenant.database);
    }
    const isThere = await isDatabaseRestored(runner, besideJob, beside);
    const remarks = isThere ? [] : await restoreDatabase(runner, besideJob, archive, access);
    if (!takesName) return { old: null, remarks };
    job.onStep('swapping');
    // Who may connect to it under its last name is said once it has that.
    const said = remarks.filter((remark) => remark !== closedRemark(beside));
    let furnished: readonly string[] = [];
    const swap = {
      ...{ tenant: tenant.id, run: job.run, living: tenant.database, restored: beside },
      old: way.oldName ?? way.parkedName,
      disconnects: this.#options.disconnect,
      furnish: async () => {
        const isGiven = await giveArchivedProperties(runner, archive.toc, tenant.database);
        const named = (await job.named?.(session)) ?? [];
        furnished = [...(isGiven ? [] : [closedRemark(tenant.database)]), ...named];
      },
    };
    const hasOld = await access.within(planned.workplace.database, (second) => swapDatabases(runner, second, swap));
    return { old: hasOld ? swap.old : null, remarks: hasOld ? said : [...said, ...furnished] };
  }

  #access(session: Session, { tenant }: PlannedRestore, take: TakeOptions): ServerAccess {
    const { servers } = this.#fleet;
    return {
      envFor: (database) => {
        const settings = servers.settings(tenant.server, database);
        return programEnv(settings, session, {
          env: this.#context.env,
          applicationName: take.applicationName,
          settings: { lock_timeout: String(Math.trunc(take.lockTimeoutMs)) },
        });
      },
      // Not of the pool: it would wait there for a place that this very tenant takes.
      within: async (database, work) => {
        const inside = await servers.connect(tenant.server, database);
        try {
          await prepare(inside, take);
          return await work(sessionRunner(inside));
        } finally {
          await inside.end();
        }
      },
    };
  }

  #value({ chosen, way, remarks, outside }: PlannedRestore, done: Done, tookMs: number): RestoreValue {
    const { manifest } = chosen;
    const counted = manifest.tables.reduce((sum, { rows }) => sum + (rows ?? 0), 0);
    const durationMs = Math.round(tookMs);
    const { sizeBytes } = manifest.archive;
    return {
      ...describeBackup(chosen),
      from: manifest.place,
      to: way.to,
      tables: done.tables ?? manifest.tables.length,
      rows: done.rows ?? counted,
      ...{ sizeBytes, durationMs, bytesPerSecond: Math.round((sizeBytes * 1000) / Math.max(1, durationMs)) },
      swapped: done.old !== null,
      old: done.old,
      outside,
      remarks: [...remarks, ...done.remarks],
    };
  }
}

interface Done extends Restored {
  readonly tables?: number;
  readonly rows?: number;
}

export function describeBackup({ backup, manifest }: PlannedRestore['chosen']): Pick<RestoreValue, 'backup'> {
  const passed =
    backup.verification?.results.filter(({ verdict }) => verdict === 'passed').map(({ level }) => level) ?? [];
  const verified = (['restore', 'content', 'manifest'] as const).find((level) => passed.includes(level)) ?? null;
  return { backup: { time: backup.time, takenAt: manifest.snapshot.takenAt, verified } };
}

/** By the tenant's schema, as any other change of it, and by the schema that lends the archive its name. */
async function lock(session: Session, { tenant, way, chosen }: PlannedRestore, take: TakeOptions): Promise<void> {
  await prepare(session, take);
  if (tenant.schema === null) return lockTenant(session, tenantKey(`database ${tenant.database}`));
  const names = [way.to.schema, tenant.schema, chosen.manifest.place.schema].filter((name) => name !== null);
  for (const name of [...new Set(names)].toSorted()) await lockTenant(session, tenantKey(name));
}

function prepare(session: Session, { lockTimeoutMs, applicationName }: TakeOptions): Promise<void> {
  return prepareSession(session, {
    searchPath: ['pg_catalog'],
    role: null,
    lockTimeoutMs,
    statementTimeoutMs: 0,
    applicationName,
  });
}

import type { Dumped } from '../../backups/dump/dumped-place.ts';
import { baseKey } from '../../backups/repository/names.ts';
import type { Repository } from '../../backups/repository/repository.ts';
import type { Context } from '../../context.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { Receipt } from '../../hibernation/receipt.ts';
import { toFailure } from '../../postgres/failure.ts';
import type { Fleet } from '../open-fleet.ts';
import { dumpFenced, type ProvenArchive, proveArchives } from './archive-phases.ts';
import { changeSleepers } from './change-sleepers.ts';
import { dropTenant, settleDropped } from './drop-tenant.ts';
import { endReceipts } from './end-receipts.ts';
import { type Fenced, fenceTenant } from './fence-tenant.ts';
import type { HibernateOptions } from './hibernate-options.ts';
import type { PlannedSleep } from './hibernate-plan.ts';
import type { HibernateValue } from './hibernate-value.ts';
import { withoutOutcomes } from './later-outcomes.ts';
import { type Fallen, reopenTenants } from './reopen-tenants.ts';

/** Phases in which a tenant is worked on, and how long that took; `null` where it did not come so far. */
interface Sleeper {
  readonly planned: PlannedSleep;
  readonly ms: { fenced: number; dumped: number; verified: number; dropped: number };
  /** By `performance.now()`. */
  beganAt: number;
  fenced: Fenced | null;
  dumped: Dumped | null;
  proven: ProvenArchive | null;
  /** Of its archive; null: not known. */
  archiveBytes: number | null;
  /** Its archive is kept for it, and its drop may have begun. */
  hasReceipt: boolean;
}

/** Locks are kept to the end of a drop, one for each relation: tenants of more tables go one at a time in a database. */
const manyTables = 200;

const phaseSteps = ['fencing', 'dumping', 'verifying', 'dropping'] as const;

/**
 * Puts tenants to sleep by archive: all are fenced, dumped, proved, dropped, one phase after the other. Who does not come
 * through a phase is in use again as before. One outcome for each.
 */
export class ArchiveRun {
  readonly #context: Context;
  readonly #fleet: Fleet;
  readonly #repository: Repository;
  readonly #options: HibernateOptions;
  readonly #sleepers: ReadonlyMap<Tenant, Sleeper>;
  /** Those who did not come through, and at what they failed. */
  readonly #fallen = new Map<Tenant, Fallen>();
  readonly #done = new Map<Tenant, Outcome<HibernateValue>>();

  constructor(
    context: Context,
    fleet: Fleet,
    repository: Repository,
    planned: readonly PlannedSleep[],
    options: HibernateOptions,
  ) {
    this.#context = context;
    this.#fleet = fleet;
    this.#repository = repository;
    this.#options = options;
    this.#sleepers = new Map(
      planned.map((each) => {
        const ms = { fenced: 0, dumped: 0, verified: 0, dropped: 0 };
        const nothing = { fenced: null, dumped: null, proven: null, archiveBytes: null, hasReceipt: false };
        return [each.tenant, { planned: each, ms, beganAt: 0, ...nothing }];
      }),
    );
  }

  async perform(): Promise<readonly Outcome<HibernateValue>[]> {
    const { stop } = this.#context.interrupts;
    for (const step of phaseSteps) if (step === 'fencing' || !stop.aborted) await this.#attempt(step);
    for (const tenant of this.#standing(() => true)) this.#leave(tenant);
    const reopened = await reopenTenants(this.#context, this.#fleet, this.#fallen, this.#options);
    await this.#endReceipts(reopened.flatMap(({ outcome, isInUse }) => (isInUse ? [outcome.tenant] : [])));
    for (const { outcome } of reopened) this.#settle(outcome);
    return [...this.#done.values()];
  }

  /** Whatever goes wrong with a phase as a whole: nobody is left behind a fence without a word. */
  async #attempt(step: (typeof phaseSteps)[number]): Promise<void> {
    const phase = { fencing: this.#fence, dumping: this.#dump, verifying: this.#prove, dropping: this.#drop }[step];
    try {
      await phase.call(this);
    } catch (error) {
      for (const tenant of this.#standing(() => true)) {
        this.#fall({ tenant, status: 'failed', step, error: toFailure(error), durationMs: 0 });
      }
    }
  }

  async #fence(): Promise<void> {
    const outcomes = await changeSleepers<Fenced>(
      this.#later(),
      this.#fleet,
      {
        phase: 'fencing',
        tenants: [...this.#sleepers.keys()],
        connections: 2,
        change: (session, tenant, take) => {
          const sleeper = this.#of(tenant);
          const { planned } = sleeper;
          const { drainMs } = this.#options;
          if (sleeper.beganAt === 0) sleeper.beganAt = performance.now();
          return fenceTenant(
            session,
            { fleet: this.#fleet, planned, drainMs, stop: this.#context.interrupts.stop },
            take,
          );
        },
      },
      this.#options,
    );
    this.#take(outcomes, (sleeper, fenced, ms) => {
      sleeper.fenced = fenced;
      sleeper.ms.fenced = ms;
    });
  }

  async #dump(): Promise<void> {
    const tenants = this.#standing(({ fenced }) => fenced !== null && !fenced.isGone);
    const outcomes = await dumpFenced(this.#later(), this.#fleet, tenants, this.#repository, this.#options);
    this.#take(outcomes, (sleeper, dumped, ms) => {
      sleeper.dumped = dumped;
      sleeper.archiveBytes = dumped.sizeBytes;
      sleeper.ms.dumped = ms;
    });
  }

  async #prove(): Promise<void> {
    const tenants = this.#standing(({ dumped }) => dumped !== null);
    const dumped = new Map(
      tenants.map((tenant) => {
        const sleeper = this.#of(tenant);
        return [tenant, { dumped: sleeper.dumped!, fence: sleeper.fenced!.record }];
      }),
    );
    const outcomes = await proveArchives(this.#later(), this.#fleet, dumped, this.#repository, this.#options);
    this.#take(outcomes, (sleeper, proven, ms) => {
      sleeper.proven = proven;
      sleeper.ms.verified = ms;
    });
  }

  async #drop(): Promise<void> {
    const outcomes = await changeSleepers<Receipt>(
      this.#later(),
      this.#fleet,
      {
        phase: 'dropping',
        tenants: this.#standing(({ proven, fenced }) => proven !== null || fenced?.isGone === true),
        connections: 2,
        lanes: (tenant) => new Set((this.#of(tenant).proven?.rows.length ?? 0) > manyTables ? ['shared'] : []),
        change: async (session, tenant, take) => {
          const sleeper = this.#of(tenant);
          const { fenced, proven } = sleeper;
          if (fenced === null || proven === null) {
            return settleDropped(session, tenant, (kept) => this.#keepAgain(sleeper, kept));
          }
          const receipt = this.#receiptOf(tenant, fenced, proven);
          take.onStep('keeping the receipt');
          sleeper.hasReceipt = true;
          await this.#repository.putReceipt(proven.backup, receipt);
          const { drainMs } = this.#options;
          await dropTenant(session, { fleet: this.#fleet, tenant, fenced, receipt, rows: proven.rows, drainMs }, take);
          return receipt;
        },
      },
      this.#options,
    );
    this.#take(outcomes, (sleeper, receipt, ms) => {
      sleeper.ms.dropped = ms;
      this.#settle(this.#asleep(sleeper, receipt));
    });
  }

  /** Its receipt was put before its database was dropped; whoever has looked since may have ended it. */
  async #keepAgain(sleeper: Sleeper, receipt: Receipt): Promise<void> {
    const { id } = sleeper.planned.tenant;
    const backup = await this.#repository.findBackup(baseKey({ kind: 'tenant', tenant: id }, receipt.backup.time));
    if (backup === null) return;
    sleeper.archiveBytes = backup.sizeBytes;
    await this.#repository.putReceipt(backup, receipt);
  }

  #asleep({ planned, fenced, archiveBytes, ms, beganAt }: Sleeper, receipt: Receipt): Outcome<HibernateValue> {
    const { tenant } = planned;
    const { store, time } = receipt.backup;
    const since = fenced?.since ?? null;
    const outOfUseMs =
      since === null
        ? Math.round(performance.now() - beganAt)
        : Math.max(0, this.#context.now().getTime() - since.getTime());
    const value: HibernateValue = {
      how: 'archive',
      already: false,
      backup: { store, time, sizeBytes: archiveBytes },
      sizeBeforeBytes: receipt.sizeBytes,
      sizeAfterBytes: 0,
      phases: { fencedMs: ms.fenced, dumpedMs: ms.dumped, verifiedMs: ms.verified, droppedMs: ms.dropped, outOfUseMs },
      remarks: planned.remarks,
    };
    return { tenant, status: 'done', value, durationMs: ms.fenced + ms.dumped + ms.verified + ms.dropped };
  }

  #receiptOf(
    tenant: Tenant,
    { record }: Fenced,
    { backup, verifiedAt, rows, structure: restored }: ProvenArchive,
  ): Receipt {
    const { id, server, database, schema, labels } = tenant;
    const { objects, closedRoles, structure, applied, sizeBytes } = record;
    return {
      schema: 'tenantctl-receipt/1',
      tenant: id,
      environment: this.#fleet.inventory.environment,
      place: { server, database, schema },
      ...{ labels, run: this.#fleet.run, version: this.#context.version, how: 'archive' },
      hibernatedAt: this.#context.now().toISOString(),
      backup: { store: this.#repository.name, time: backup.time, sha256: backup.manifest?.archive.sha256 ?? '' },
      ...{ verifiedAt, structure, restored, rows, applied, sizeBytes },
      fence: { objects, closedRoles },
    };
  }

  /** A phase is not the end of its tenants. */
  #later(): Context {
    return { ...this.#context, emit: withoutOutcomes(this.#context.emit) };
  }

  #of(tenant: Tenant): Sleeper {
    return this.#sleepers.get(tenant)!;
  }

  #standing(isFit: (sleeper: Sleeper) => boolean): readonly Tenant[] {
    return [...this.#sleepers].flatMap(([tenant, sleeper]) => {
      return !this.#fallen.has(tenant) && !this.#done.has(tenant) && isFit(sleeper) ? [tenant] : [];
    });
  }

  #take<V>(outcomes: readonly Outcome<V>[], keep: (sleeper: Sleeper, value: V, ms: number) => void): void {
    for (const outcome of outcomes) {
      if (outcome.status === 'done') keep(this.#of(outcome.tenant), outcome.value, outcome.durationMs);
      else this.#fall(outcome);
    }
  }

  /** The run was stopped before its next phase. */
  #leave(tenant: Tenant): void {
    this.#fall({ tenant, status: 'skipped', reason: 'not-started', durationMs: 0 });
  }

  #fall(outcome: Fallen['outcome']): void {
    this.#fallen.set(outcome.tenant, { outcome, mayBeDropped: this.#of(outcome.tenant).hasReceipt });
  }

  /** Who is in use does not depend on that archive. */
  async #endReceipts(tenants: readonly Tenant[]): Promise<void> {
    for (const tenant of tenants) {
      const { planned, hasReceipt } = this.#of(tenant);
      // A run that was killed may have kept one too.
      if (hasReceipt || planned.isCarriedOn) await endReceipts(this.#context, tenant, this.#repository);
    }
  }

  #settle(outcome: Outcome<HibernateValue>): void {
    this.#done.set(outcome.tenant, outcome);
    this.#context.emit({ type: 'settled', outcome });
  }
}

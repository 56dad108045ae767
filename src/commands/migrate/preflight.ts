import type { Context } from '../../context.ts';
import { RefusedError, StoppedError } from '../../errors.ts';
import { placeKey, type Tenant } from '../../fleet/tenant.ts';
import type { ChangePlan } from '../../migrations/change-tenant.ts';
import { type CheckText, readChecks, type TenantCheck } from '../../migrations/check-texts.ts';
import { EarlyChecks, isMissingObject } from '../../migrations/early-checks.ts';
import type { Migration } from '../../migrations/folder.ts';
import { readPreflights } from '../../migrations/preflight.ts';
import { loadParser } from '../../migrations/statements.ts';
import { listNames, plural, shellQuote } from '../../words.ts';
import type { Fleet } from '../open-fleet.ts';
import { checkFleet, type TenantComplaint } from './check-fleet.ts';
import { describeComplaints } from './complaint-text.ts';

/** What the checks need to know of a migration job. */
export interface PreflightJob {
  /** Not tenants, but what their databases share. */
  readonly isShared: boolean;
  /** Tenants with something to run, and what that is. */
  readonly work: ReadonlyMap<Tenant, { readonly plan: ChangePlan }>;
}

const maxTenantsNamed = 10;

/** A check, and the migration that asks for it; null: the command line does. */
interface Asked {
  readonly check: TenantCheck;
  readonly migration: Migration | null;
}

/**
 * Makes, before the first tenant moves, the checks of exactly those migrations that are pending for each tenant, and on
 * all of them those of `--preflight-sql`. Only reads, so that a dry run can make them too. Refuses (exit 5) when a check
 * complains of a tenant, cannot be made on one, or is no query.
 */
export async function runPreflight(
  context: Context,
  fleet: Fleet,
  jobs: readonly PreflightJob[],
  extraSql: readonly string[],
): Promise<void> {
  const asked = await readAsked(jobs, extraSql);
  if (asked.length === 0) return;
  const checks = new Map(jobs.flatMap((job) => [...assignChecks(job, asked)]));
  const complaints = await checkFleet(context, fleet, 'preflight checks', checks);
  if (context.interrupts.stop.aborted) throw new StoppedError('stopped in the preflight checks: nothing was changed');
  const made = new EarlyChecks(await loadParser());
  const early = new Set(complaints.filter((complaint) => isTooEarly(complaint, jobs, asked, made)));
  noteTooEarly(context, [...early]);
  const serious = complaints.filter((complaint) => !early.has(complaint));
  if (serious.length === 0) return;
  throw new RefusedError('the preflight checks complain, nothing was changed', {
    details: describeAll(serious, asked, checks),
    hint: hintFor(serious, jobs, asked),
  });
}

/** Tenants with one plan share one list. `--preflight-sql` is about tenants, not about what their databases share. */
function assignChecks({ isShared, work }: PreflightJob, asked: readonly Asked[]): Map<Tenant, readonly TenantCheck[]> {
  const ofPlan = new Map<ChangePlan, readonly TenantCheck[]>();
  const assigned = new Map<Tenant, readonly TenantCheck[]>();
  for (const [tenant, { plan }] of work) {
    const pending = new Set(plan.migrations);
    const isAsked = ({ migration }: Asked) => (migration === null ? !isShared : pending.has(migration));
    const own = ofPlan.get(plan) ?? asked.filter(isAsked).map(({ check }) => check);
    ofPlan.set(plan, own);
    assigned.set(tenant, own);
  }
  return assigned;
}

/** All checks once; refuses those that are no query before a tenant is asked. */
async function readAsked(jobs: readonly PreflightJob[], extraSql: readonly string[]): Promise<readonly Asked[]> {
  const migrations = new Set(jobs.flatMap(({ work }) => [...work.values()].flatMap(({ plan }) => plan.migrations)));
  const texts = [
    ...[...migrations].flatMap((migration) =>
      readPreflights(migration).map(({ sql, line }) => {
        return { text: { name: `${migration.displayPath}:${line}`, sql }, migration };
      }),
    ),
    ...extraSql.map((sql, index): { readonly text: CheckText; readonly migration: null } => {
      const name = extraSql.length === 1 ? '--preflight-sql' : `--preflight-sql ${index + 1}`;
      return { text: { name, sql }, migration: null };
    }),
  ];
  const checks = await readChecks(texts.map(({ text }) => text));
  return checks.map((check, index) => ({ check, migration: texts[index]?.migration ?? null }));
}

/**
 * A check of a later migration may look at what an earlier one, still pending too, makes: then it has no data that could
 * be wrong, and a tenant without a history has none at all. Where nothing pending makes it, the check is misspelt, and
 * what it guards must not run.
 */
function isTooEarly(
  complaint: TenantComplaint,
  jobs: readonly PreflightJob[],
  asked: readonly Asked[],
  made: EarlyChecks,
): boolean {
  if ('rows' in complaint || !isMissingObject(complaint.failure.sqlState)) return false;
  const { tenant, check } = complaint;
  const earlier = runsBefore(complaint, jobs, asked);
  if (earlier.length === 0) return false;
  const isNew = jobs.some(({ work }) => work.get(tenant)?.plan.from === null);
  return isNew || made.isMadeBy(earlier, check, complaint.failure.sqlState);
}

/** What will have run on a tenant when a migration's check could be made; nothing before those of the command line. */
function runsBefore(
  { tenant, check }: TenantComplaint,
  jobs: readonly PreflightJob[],
  asked: readonly Asked[],
): readonly Migration[] {
  const migration = asked.find((each) => each.check === check)?.migration ?? null;
  const job = jobs.find(({ work }) => work.has(tenant));
  if (migration === null || job === undefined) return [];
  const own = job.work.get(tenant)?.plan.migrations ?? [];
  const before = own.slice(0, Math.max(0, own.indexOf(migration)));
  if (job.isShared) return before;
  // What the databases share moves before their tenants do.
  const place = placeKey(tenant);
  const shared = jobs.flatMap((other) => (other.isShared ? [...other.work] : []));
  return [...shared.flatMap(([each, { plan }]) => (placeKey(each) === place ? plan.migrations : [])), ...before];
}

function noteTooEarly(context: Context, complaints: readonly TenantComplaint[]): void {
  for (const [{ name }, group] of Map.groupBy(complaints, ({ check }) => check)) {
    const count = plural(group.length, 'tenant');
    const names = listNames(group.map(({ tenant }) => tenant.id));
    const message = `${name}: not made on ${count} that lack what it looks at until earlier migrations have run: ${names}`;
    context.emit({ type: 'notice', level: 'info', message });
  }
}

function describeAll(
  complaints: readonly TenantComplaint[],
  asked: readonly Asked[],
  checks: ReadonlyMap<Tenant, readonly TenantCheck[]>,
): readonly string[] {
  const groups = Map.groupBy(complaints, ({ check }) => check);
  return asked.flatMap(({ check }) => {
    const group = groups.get(check) ?? [];
    if (group.length === 0) return [];
    const checked = [...checks.values()].filter((own) => own.includes(check)).length;
    return describeComplaints(group, checked, { atMost: maxTenantsNamed }).map((line) => `${check.name}: ${line}`);
  });
}

/** What databases share cannot be left out of the selection. */
function hintFor(
  complaints: readonly TenantComplaint[],
  jobs: readonly PreflightJob[],
  asked: readonly Asked[],
): string {
  const shared = new Set(jobs.flatMap(({ isShared, work }) => (isShared ? [...work.keys()] : [])));
  const ids = new Set(complaints.flatMap(({ tenant }) => (shared.has(tenant) ? [] : [tenant.id])));
  const correct = complaints.some((complaint) => 'rows' in complaint) ? 'correct the data' : 'correct the check';
  const before = complaints.flatMap((complaint) => {
    const isMissing = 'failure' in complaint && isMissingObject(complaint.failure.sqlState);
    const own = jobs.find(({ isShared, work }) => !isShared && work.has(complaint.tenant))?.work.get(complaint.tenant);
    // Not what databases share: that has no --to.
    return isMissing
      ? runsBefore(complaint, jobs, asked)
          .filter((each) => own?.plan.migrations.includes(each))
          .slice(-1)
      : [];
  })[0];
  // JavaScript may make it, or a DO block: that cannot be seen, but it can be run.
  const mistake =
    before === undefined
      ? correct
      : `${correct}, run first what makes what it looks at (--to ${shellQuote(before.name)})`;
  if (ids.size === 0) return mistake;
  const named = ids.size > maxTenantsNamed ? '<tenant>…' : [...ids].map(shellQuote).join(' ');
  return `${mistake}, or leave those tenants out: --except ${named}`;
}

import type { Context } from '../../context.ts';
import { applyFix, type FixResult } from '../../drift/fix/apply-fix.ts';
import { isLosing, isWhole, leftOf } from '../../drift/fix/plan-fix.ts';
import { RefusedError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import { type Tenant, tenantSchema } from '../../fleet/tenant.ts';
import { takeTenant } from '../../migrations/take-tenant.ts';
import type { Result } from '../../output/result.ts';
import { plural } from '../../words.ts';
import { changeTenants } from '../change-tenants.ts';
import type { Command } from '../command.ts';
import { askConsent } from '../consent.ts';
import { changeFlags, consentFlags, dryRunFlag, limitFlags, selectionFlags } from '../flags.ts';
import { type Fleet, mergeOutcomes, withFleet } from '../open-fleet.ts';
import { recordRun } from '../record-run.ts';
import { comparisonFlags } from './drift-options.ts';
import { findDrift } from './find-drift.ts';
import { type FixOptions, fixFlags, readFixOptions } from './fix-options.ts';
import { describeFixes, fixExtra, fixScript } from './fix-text.ts';
import { oweToSleeping } from './owed-drift.ts';
import { type GroupFix, planFixes } from './plan-fixes.ts';
import { writeScript } from './write-script.ts';

/** `tenantctl drift fix`: SQL that brings tenants to what they are held to; run only when asked. */
export const driftFix: Command<FixOptions, FixResult> = {
  name: 'drift fix',
  summary: 'show the SQL that takes drift away, and run it when asked',
  examples: [
    ['tenantctl drift fix --all', 'group by group: the SQL, what of it can hurt, and what cannot be fixed'],
    ['tenantctl drift fix --all --against migrations --out fix.sql', 'the same in a file, to be read and changed'],
    ['tenantctl drift fix -t acme --against tenant:globex --apply', 'run it on one tenant; asks first'],
    ['tenantctl drift fix --all --apply --canary 1 --yes', 'on all that differ, one of them first'],
  ],
  flags: [
    ...selectionFlags,
    ...comparisonFlags,
    ...fixFlags,
    dryRunFlag,
    ...consentFlags,
    ...limitFlags,
    ...changeFlags,
  ],
  view: {
    columns: ['tenant', 'statements', 'left'],
    row: (outcome, { verbose }) => {
      if (outcome.status !== 'done') return null;
      const { statements, left } = outcome.value;
      if (!verbose || (statements === 0 && left.length === 0)) return null;
      return [outcome.tenant.id, String(statements), String(left.length)];
    },
    isFinding: (outcome) => outcome.status === 'done' && !outcome.value.whole,
  },
  options: readFixOptions,
  run: (context, options) => {
    const mode = options.apply ? 'change' : 'read';
    return withFleet(context, { ...options, mode, writesNothing: !options.apply }, (fleet) => {
      return fix(context, oweToSleeping(context, fleet), options);
    });
  },
  retryFlags: ({ typed = {}, apply, allowDrop, partial }) => [
    ...(typeof typed.against === 'string' ? ['--against', typed.against] : []),
    ...(typeof typed.accepted === 'string' ? ['--accepted', typed.accepted] : []),
    ...(apply ? ['--apply'] : []),
    ...(allowDrop ? ['--allow-drop'] : []),
    ...(partial ? ['--partial'] : []),
  ],
  canRetry: true,
};

async function fix(context: Context, fleet: Fleet, options: FixOptions): Promise<Result<FixResult>> {
  const found = await findDrift(context, fleet, fleet.tenants, options);
  const fixes = await planFixes(context, fleet, found.groups, found.reference, options);
  if (options.out !== null) await writeScript(options.out, context.cwd, fixScript(fixes, found.reference.name));
  const { environment } = fleet.inventory;
  const settled = [...fleet.rejected, ...settleOthers(found.outcomes, fixes)];
  const answer = { environment, sources: fleet.sources };
  const lines = [...found.notes, ...describeFixes(fixes, options)];
  const head = `environment ${environment}: held to ${found.reference.name}`;
  if (!options.apply) {
    const planned = fixes.flatMap((each) => membersOf(each).map((tenant) => plannedOutcome(tenant, each)));
    const outcomes = mergeOutcomes<FixResult>(fleet.selected, settled, planned);
    const text = [`${head}; plan, nothing was changed`, ...lines];
    return {
      ...answer,
      outcomes,
      run: null,
      text,
      extra: { dryRun: true, notes: found.notes, ...fixExtra(fixes, found.reference.name) },
    };
  }
  refuseDoubt(fixes);
  const { work, refused } = cutWork(fixes, options);
  if (work.size > 0) await confirm(context, environment, [...work.values()], lines, options);
  const all = [...settled, ...refused];
  const done = work.size === 0 ? null : await applyAll(context, fleet, work, all, options);
  if (done === null) for (const outcome of all) context.emit({ type: 'settled', outcome });
  return {
    ...answer,
    outcomes: mergeOutcomes<FixResult>(fleet.selected, all, done ?? []),
    run: done === null ? null : fleet.run,
    text: [head, ...lines],
    extra: { dryRun: false, notes: found.notes, ...fixExtra(fixes, found.reference.name) },
  };
}

function membersOf({ group }: GroupFix): readonly Tenant[] {
  return group.members.map(({ tenant }) => tenant);
}

/** Tenants without drift, and those of whom it is not known. */
function settleOthers(outcomes: readonly Outcome[], fixes: readonly GroupFix[]): readonly Outcome<FixResult>[] {
  const busy = new Set(fixes.flatMap(membersOf));
  return outcomes.flatMap((outcome): readonly Outcome<FixResult>[] => {
    if (busy.has(outcome.tenant)) return [];
    if (outcome.status !== 'done') return [outcome];
    const { tenant, durationMs } = outcome;
    return [{ tenant, durationMs, status: 'done', value: { statements: 0, left: [], whole: true } }];
  });
}

function plannedOutcome(tenant: Tenant, { plan }: GroupFix): Outcome<FixResult> {
  const value = { statements: plan.statements.length, left: leftOf(plan), whole: isWhole(plan) };
  return { tenant, status: 'done', durationMs: 0, value };
}

interface Work {
  readonly work: ReadonlyMap<Tenant, GroupFix>;
  /** Tenants that are not begun: something of them cannot be fixed, or nothing can. */
  readonly refused: readonly Outcome<FixResult>[];
}

/** Half a fix is done only when somebody asked for it. */
function cutWork(fixes: readonly GroupFix[], { partial }: FixOptions): Work {
  const work = new Map<Tenant, GroupFix>();
  const refused: Outcome<FixResult>[] = [];
  for (const each of fixes) {
    const { plan } = each;
    const left = leftOf(plan);
    for (const tenant of membersOf(each)) {
      if (plan.statements.length === 0) refused.push(plannedOutcome(tenant, each));
      else if (partial || isWhole(plan)) work.set(tenant, each);
      else {
        const message = `${plural(left.length, 'difference')} cannot be fixed, and nothing was changed: ${left[0]}`;
        const hint = plan.unsupported.every(({ needsDrop }) => needsDrop)
          ? 'let it drop what holds data: --allow-drop; or fix the rest: --partial'
          : 'fix the rest all the same: --partial; or write a migration for it';
        const error = { message, code: 'not-supported', detail: left.join('; '), hint };
        refused.push({ tenant, status: 'failed', step: 'planning', durationMs: 0, error });
      }
    }
  }
  return { work, refused };
}

/** Where no shape is the commonest, which one counts is chance: no schema is changed for that. */
function refuseDoubt(fixes: readonly GroupFix[]): void {
  const changing = fixes.filter(({ plan }) => plan.statements.length > 0);
  const details = [...new Set(changing.flatMap(({ group }) => group.doubt ?? []))];
  if (details.length === 0) return;
  throw new RefusedError('nothing was changed: there is no majority to go by', {
    details,
    hint: 'say what is right, --against migrations or --against tenant:<id>; or leave those tenants out',
  });
}

async function confirm(
  context: Context,
  environment: string,
  fixes: readonly GroupFix[],
  lines: readonly string[],
  { yes }: FixOptions,
): Promise<void> {
  const tenants = plural(fixes.length, 'tenant');
  const risk = fixes.some(({ plan }) => isLosing(plan))
    ? `this changes the schema of ${tenants} and loses data`
    : `this changes the schema of ${tenants}`;
  await askConsent(context, environment, { lines, risk }, yes);
}

function applyAll(
  context: Context,
  fleet: Fleet,
  work: ReadonlyMap<Tenant, GroupFix>,
  settled: readonly Outcome<FixResult>[],
  options: FixOptions,
): Promise<Outcome<FixResult>[]> {
  const { against, accepted, allowDrop, partial } = options;
  return recordRun(context, fleet, 'drift fix', { against, accepted, allowDrop, partial }, (recorder) => {
    for (const outcome of settled) recorder.emit({ type: 'settled', outcome });
    const run = {
      phase: 'fixing',
      tenants: [...work.keys()],
      lanes: (tenant: Tenant) => work.get(tenant)!.review.lanes,
      change: async (...[session, tenant, take]: ChangeOne): Promise<FixResult> => {
        const { plan, planFor } = work.get(tenant)!;
        await takeTenant(session, { ...tenant, role: null }, take);
        const own = { schema: tenantSchema(tenant), id: tenant.id, role: tenant.role };
        return applyFix(session, tenant, { planned: plan, plan: planFor }, { ...take, own });
      },
    };
    return changeTenants<FixResult>(recorder, fleet, run, options);
  });
}

type ChangeOne = Parameters<Parameters<typeof changeTenants<FixResult>>[2]['change']>;

import type { Context } from '../../context.ts';
import type { DriftClass } from '../../drift/fact.ts';
import { type DriftChanges, findChanges } from '../../drift/watch-changes.ts';
import { prepareWatchFile, readWatchFile, watchFile, writeWatchFile } from '../../drift/watch-file.ts';
import { type KnownDifference, type KnownDrift, updateState, type WatchState } from '../../drift/watch-state.ts';
import { UsageError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { CommandView, Result } from '../../output/result.ts';
import type { Command, Flag, RawOptions } from '../command.ts';
import { limitFlags, selectionFlags } from '../flags.ts';
import { type Fleet, mergeOutcomes, withFleet } from '../open-fleet.ts';
import { readDuration, readSwitch, readText } from '../read-options.ts';
import { comparisonFlags, type DriftOptions, failOnFlag, readDriftOptions } from './drift-options.ts';
import { type FoundDrift, findDrift } from './find-drift.ts';
import { oweToSleeping } from './owed-drift.ts';
import { scanChanged, type WatchScan } from './watch-scan.ts';
import { describeWatch, type WatchSummary } from './watch-text.ts';

interface WatchOptions extends DriftOptions {
  readonly failOnAny: boolean;
  readonly full: boolean;
  readonly fullEveryMs: number;
}

/** `value` of a done outcome. */
export interface WatchValue {
  /** Why it was not compared with anything: it is alone at its version. What is known of its drift stays. */
  readonly why: string | null;
  /** Whether its catalogue was read now, or is as it was when it last was. */
  readonly read: 'now' | 'unchanged';
  readonly shape: string;
  readonly version: string | null;
  readonly major: number;
  readonly new: readonly KnownDifference[];
  readonly ended: readonly KnownDifference[];
  /** All that there is now, the new ones included. */
  readonly standing: readonly KnownDifference[];
}

const fullEveryMs = 86_400_000;

const watchFlags: readonly Flag[] = [
  {
    flags: '--fail-on-any',
    description: 'exit 1 while there is any drift, and not only when there is new drift',
    fromEnvironment: false,
  },
  { flags: '--full', description: 'read every tenant, changed or not', fromEnvironment: false },
  {
    flags: '--full-every <duration>',
    description: 'read a tenant that did not change once in this time all the same (default: 24h)',
    fromEnvironment: false,
  },
];

const view: CommandView<WatchValue> = {
  columns: ['tenant', 'read', 'new', 'ended', 'known before'],
  row: (outcome, { verbose, quiet }) => {
    if (outcome.status !== 'done' || !(verbose || quiet === true)) return null;
    const { read, why, standing, ended } = outcome.value;
    if (why !== null) return [outcome.tenant.id, read, `not compared: ${why}`, '-', '-'];
    const texts = (differences: readonly KnownDifference[]) => differences.map(({ text }) => text).join('; ') || '-';
    const older = standing.filter(({ key }) => !outcome.value.new.some((fresh) => fresh.key === key));
    return [outcome.tenant.id, read, texts(outcome.value.new), texts(ended), texts(older)];
  },
};

/** `tenantctl drift watch`: what drifted since the last look, and what is over. */
export const driftWatch: Command<WatchOptions, WatchValue> = {
  name: 'drift watch',
  summary: 'new and ended drift since the last look, for cron',
  examples: [
    ['tenantctl drift watch --all', 'every few minutes: exit 1 when there is new drift'],
    ['tenantctl drift watch --all --against file:expected.txt --fail-on security', 'only what touches security'],
    ['tenantctl drift watch --all --fail-on-any', 'exit 1 while there is any drift'],
  ],
  flags: [...selectionFlags, ...comparisonFlags, failOnFlag, ...watchFlags, ...limitFlags],
  view,
  options: (raw: RawOptions) => readWatchOptions(raw),
  run: (context, options) =>
    withFleet(context, { ...options, mode: 'read' }, (fleet) => watch(context, oweToSleeping(context, fleet), options)),
  canRetry: false,
};

function readWatchOptions(raw: RawOptions): WatchOptions {
  const full = readSwitch(raw, 'full');
  if (full && readText(raw, 'fullEvery') !== null) {
    throw new UsageError('--full and --full-every say two things', { hint: 'give one of them' });
  }
  return {
    ...readDriftOptions(raw),
    failOnAny: readSwitch(raw, 'failOnAny'),
    full,
    fullEveryMs: readDuration(raw, 'fullEvery') ?? fullEveryMs,
  };
}

async function watch(context: Context, fleet: Fleet, options: WatchOptions): Promise<Result<WatchValue>> {
  const file = watchFile(fleet.inventory.state);
  await prepareWatchFile(file, fleet.run);
  const before = await readState(context, file);
  const trustSinceMs = options.full ? Number.POSITIVE_INFINITY : context.now().getTime() - options.fullEveryMs;
  let scan: WatchScan | null = null;
  const found = await findDrift(context, fleet, fleet.tenants, options, async (...asked) => {
    scan = await scanChanged(...asked, { state: before, trustSinceMs });
    return [...scan.outcomes];
  });
  if (scan === null) throw new Error('nothing was scanned');
  const against = found.reference.name;
  const changes = changesOf(found, before?.drift.get(against) ?? new Map(), context.now());
  const kept = { scan, against, changes };
  const outcomes = watchOutcomes(found, changes, scan, options);
  for (const outcome of [...fleet.rejected, ...outcomes]) context.emit({ type: 'settled', outcome });
  const summary = { against, isFirst: before?.drift.has(against) !== true, notes: found.notes };
  // What nobody got to read is told again the next time: better twice than never.
  return { ...report(fleet, outcomes, summary), delivered: () => keepState(context, fleet, file, kept) };
}

/** A state that cannot be read any more costs one full scan, and the news of what was known. */
async function readState(context: Context, file: string): Promise<WatchState | null> {
  const state = await readWatchFile(file);
  if (state !== 'damaged') return state;
  const message = `${file} is damaged: every tenant is read, and all drift counts as new`;
  context.emit({ type: 'notice', level: 'warning', message });
  return null;
}

function changesOf({ groups }: FoundDrift, known: KnownDrift, now: Date): ReadonlyMap<Tenant, DriftChanges> {
  return new Map(
    groups.flatMap(({ members, differences }) => {
      return members.map(({ tenant }) => [tenant, findChanges(known.get(tenant.id) ?? [], differences, now)] as const);
    }),
  );
}

interface Kept {
  readonly scan: WatchScan;
  readonly against: string;
  readonly changes: ReadonlyMap<Tenant, DriftChanges>;
}

/** What nobody could say this time stays as it was known. */
async function keepState(
  context: Context,
  fleet: Fleet,
  file: string,
  { scan, against, changes }: Kept,
): Promise<void> {
  const drift = new Map([...changes].map(([{ id }, { standing }]) => [id, standing]));
  const update = { program: context.version, against, tenants: scan.remembered, drift };
  const now = await readWatchFile(file);
  await writeWatchFile(file, updateState(now === 'damaged' ? null : now, update, context.now()), fleet.run);
}

function watchOutcomes(
  found: FoundDrift,
  changes: ReadonlyMap<Tenant, DriftChanges>,
  { scanned }: WatchScan,
  { failOn, failOnAny }: WatchOptions,
): readonly Outcome<WatchValue>[] {
  const counts = ({ classes }: KnownDifference) => classes.some((each: DriftClass) => failOn.has(each));
  return found.outcomes.map((outcome): Outcome<WatchValue> => {
    if (outcome.status !== 'done') return outcome;
    const change = changes.get(outcome.tenant);
    const why = found.alone.get(outcome.tenant) ?? null;
    if (change === undefined && why === null) throw new Error(`tenant ${outcome.tenant.id} was not compared`);
    const { shape, version, major } = outcome.value;
    const { fresh, ended, standing } = change ?? { fresh: [], ended: [], standing: [] };
    const read = scanned.has(outcome.tenant) ? 'now' : 'unchanged';
    return {
      ...outcome,
      value: { read, why, shape, version, major, new: fresh, ended, standing },
      finding: (failOnAny ? standing : fresh).some(counts),
    };
  });
}

function report(
  fleet: Fleet,
  outcomes: readonly Outcome<WatchValue>[],
  facts: Pick<WatchSummary, 'against' | 'isFirst' | 'notes'>,
): Result<WatchValue> {
  const { environment } = fleet.inventory;
  const values = outcomes.flatMap((outcome) => (outcome.status === 'done' ? [outcome.value] : []));
  const sum = (of: (value: WatchValue) => number) => values.reduce((total, value) => total + of(value), 0);
  const fleetTotals = {
    read: sum(({ read }) => (read === 'now' ? 1 : 0)),
    unchanged: sum(({ read }) => (read === 'now' ? 0 : 1)),
    new: sum((value) => value.new.length),
    ended: sum(({ ended }) => ended.length),
    standing: sum(({ standing }) => standing.length),
  };
  const all = mergeOutcomes<WatchValue>(fleet.selected, fleet.rejected, outcomes);
  return {
    outcomes: all,
    run: null,
    environment,
    sources: fleet.sources,
    text: describeWatch({ environment, outcomes: all, totals: fleetTotals, ...facts }),
    extra: { against: facts.against, notes: facts.notes, isFirst: facts.isFirst, fleet: fleetTotals },
  };
}

import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import { isHibernated, type Outcome } from '../../fleet/outcome.ts';
import { formatShare, type Share } from '../../fleet/share.ts';
import { findMigration, type Migration, type MigrationFolder } from '../../migrations/folder.ts';
import { type Gate, missingUpTo, neededFor } from '../../migrations/gate.ts';
import { countStandings, describeHistogram } from '../../migrations/histogram.ts';
import type { Standing } from '../../migrations/plan.ts';
import type { Result } from '../../output/result.ts';
import { listNames, plural } from '../../words.ts';
import type { Command, Flag, RawOptions } from '../command.ts';
import { limitFlags, selectionFlags } from '../flags.ts';
import { type FleetOptions, readFleetOptions } from '../fleet-options.ts';
import { type Fleet, mergeOutcomes } from '../open-fleet.ts';
import { readShare, readText } from '../read-options.ts';
import { type Surveyed, surveyShared, surveyTenants, withMigrations } from './survey-fleet.ts';

interface GateOptions extends FleetOptions {
  readonly atLeast: string;
  readonly quorum: Share;
}

/** `value` of a done outcome. */
interface GateStanding {
  readonly there: boolean;
  readonly version: string | null;
  /** What is not applied of the files up to and with the one that is asked for. */
  readonly missing: readonly string[];
}

const atLeastFlag: Flag = {
  flags: '--at-least <migration>',
  description: 'the migration that the application needs: its name, or a beginning that only it has (0142)',
  fromEnvironment: false,
};
const quorumFlag: Flag = {
  flags: '--quorum <n|p%>',
  description: 'how many of the selected tenants must have it (default: 100%)',
  fromEnvironment: false,
};

/** `tenantctl migrate gate`: may the application be deployed? */
export const migrateGate: Command<GateOptions, GateStanding> = {
  name: 'migrate gate',
  summary: 'ask whether tenants are far enough for a deployment: exit 0 or 1',
  examples: [
    ['tenantctl migrate gate --all --at-least 0142', 'exit 0 when every tenant has 0142 and all before it'],
    ['tenantctl migrate gate -l tier=gold --at-least 0142 --quorum 99%', 'a few may be late'],
  ],
  flags: [...selectionFlags, atLeastFlag, quorumFlag, ...limitFlags],
  view: {
    columns: ['tenant', 'version', 'missing'],
    row: (outcome, { verbose }) => {
      if (outcome.status !== 'done' || outcome.value.there || !verbose) return null;
      return [outcome.tenant.id, outcome.value.version ?? '-', outcome.value.missing.join(' ')];
    },
  },
  options: readGateOptions,
  run: (context, options) =>
    withMigrations(context, { ...options, mode: 'read' }, (fleet, folder) => askGate(context, fleet, folder, options)),
};

function readGateOptions(raw: RawOptions): GateOptions {
  const atLeast = readText(raw, 'atLeast');
  if (atLeast === null) {
    throw new UsageError('the gate needs to know what to wait for', { hint: 'name a migration: --at-least 0142' });
  }
  const quorum = readShare(raw, 'quorum') ?? { percent: 100 };
  if (Object.values(quorum).includes(0)) {
    throw new UsageError('--quorum 0 would let everything pass', { hint: 'leave the gate out, or ask for a tenant' });
  }
  return { ...readFleetOptions(raw), atLeast, quorum };
}

async function askGate(
  context: Context,
  fleet: Fleet,
  folder: MigrationFolder,
  options: GateOptions,
): Promise<Result<GateStanding>> {
  const target = findMigration(folder, options.atLeast);
  const surveyed = await surveyTenants(context, fleet, folder, fleet.tenants);
  const shared = await surveyShared(context, fleet);
  const read = readStandings(surveyed, target);
  const found = mergeOutcomes<GateStanding>(fleet.selected, fleet.rejected, read);
  const gate = judge(found, target, options.quorum, fleet.sources.length > 0);
  // Those that are late are findings only while the gate is closed: an open one ends with 0.
  const outcomes = found.map((outcome) =>
    outcome.status === 'done' ? { ...outcome, finding: !gate.passed && !outcome.value.there } : outcome,
  );
  for (const outcome of outcomes) context.emit({ type: 'settled', outcome });
  const standings = surveyed.outcomes.flatMap((outcome) => (outcome.status === 'done' ? [outcome.value.standing] : []));
  const histogram = countStandings(standings, folder);
  const { environment } = fleet.inventory;
  return {
    outcomes,
    run: null,
    environment,
    sources: fleet.sources,
    text: [
      `environment ${environment}: ${describeGate(gate, options.quorum)}`,
      describeHistogram(histogram),
      ...describeLate(outcomes),
      ...shared.flatMap(describeShared),
    ],
    // A quorum that more than all would have to meet is missed without a tenant that is late.
    findings:
      gate.passed || outcomes.some(isTellingWhy) ? [] : [{ message: describeGate(gate, options.quorum), code: 'gate' }],
    extra: { gate, histogram },
  };
}

/** Does this outcome alone keep the gate closed? */
function isTellingWhy(outcome: Outcome<GateStanding>): boolean {
  return outcome.status === 'done' ? outcome.finding === true : !isHibernated(outcome);
}

function readStandings({ outcomes, folder }: Surveyed, target: Migration): Outcome<GateStanding>[] {
  const known = new Map<Standing, GateStanding>();
  return outcomes.map((outcome) => {
    if (outcome.status !== 'done') return outcome;
    const { standing } = outcome.value;
    const missing = known.get(standing)?.missing ?? missingUpTo(standing, folder, target).map(({ name }) => name);
    const value = known.get(standing) ?? { there: missing.length === 0, version: standing.version, missing };
    known.set(standing, value);
    return { ...outcome, value };
  });
}

/** Who cannot be read is not there, and keeps the gate closed whatever the quorum: nobody knows where it stands. */
function judge(outcomes: readonly Outcome<GateStanding>[], target: Migration, quorum: Share, unread: boolean): Gate {
  const counted = outcomes.filter((outcome) => !isHibernated(outcome));
  const there = counted.filter((outcome) => outcome.status === 'done' && outcome.value.there).length;
  const total = counted.length;
  const isRead = !unread && counted.every(({ status }) => status === 'done');
  return {
    atLeast: target.name,
    quorum: formatShare(quorum),
    there,
    total,
    passed: isRead && there >= neededFor(quorum, total),
  };
}

function describeGate({ atLeast, quorum, there, total, passed }: Gate, share: Share): string {
  const needed = neededFor(share, total);
  const asked = quorum === '100%' ? '' : `, ${needed} needed (--quorum ${quorum})`;
  return `gate ${passed ? 'open' : 'closed'}: ${there} of ${plural(total, 'tenant')} at least at ${atLeast}${asked}`;
}

function describeLate(outcomes: readonly Outcome<GateStanding>[]): string[] {
  const late = outcomes.filter((outcome) => outcome.status === 'done' && !outcome.value.there);
  return late.length === 0 ? [] : [`behind: ${listNames(late.map(({ tenant }) => tenant.id))}`];
}

/** The gate is about tenants; that their shared schema is behind is worth a word all the same. */
function describeShared({ outcomes }: Surveyed): string[] {
  return outcomes.flatMap((outcome) => {
    const { schema, server, database } = outcome.tenant;
    const place = `shared schema ${schema} in ${server}/${database}`;
    if (outcome.status !== 'done') return [`${place} could not be read; it does not count for the gate`];
    const { pending } = outcome.value.standing;
    if (pending.length === 0) return [];
    return [`${place} has ${plural(pending.length, 'migration')} pending; it does not count for the gate`];
  });
}

import type { Context } from '../../context.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { CommandView, Result } from '../../output/result.ts';
import { formatBytes } from '../../words.ts';
import type { Command, Flag, RawOptions } from '../command.ts';
import { limitFlags, selectionFlags } from '../flags.ts';
import { type FleetOptions, readFleetOptions } from '../fleet-options.ts';
import { type Fleet, withFleet } from '../open-fleet.ts';
import { describeIdle, minuteOf, sumUpIdle } from './idle-text.ts';
import type { IdleValue } from './idle-value.ts';
import { idleVerdicts } from './idle-verdicts.ts';

interface IdleOptions extends FleetOptions {
  readonly takesSample: boolean;
}

const noSampleFlag: Flag = {
  flags: '--no-sample',
  description: 'take no sample: say what those say that were taken',
  fromEnvironment: false,
};

const view: CommandView<IdleValue> = {
  columns: ['tenant', 'verdict', 'since', 'last use', 'size', 'tier', 'how'],
  row: (outcome, { verbose }) => {
    if (outcome.status !== 'done' || (outcome.value.verdict !== 'idle' && !verbose)) return null;
    const { verdict, since, lastUse, sizeBytes, tier, how, why, isWholeServer } = outcome.value;
    return [
      outcome.tenant.id,
      why === null ? verdict : `${verdict}: ${why}`,
      since === null ? '-' : minuteOf(since),
      lastUse === null ? 'none seen' : minuteOf(lastUse),
      sizeBytes === null ? '-' : formatBytes(sizeBytes),
      tier ?? '-',
      isWholeServer ? `${how} (server ${outcome.tenant.server})` : how,
    ];
  },
};

/** `tenantctl idle`: takes a sample of what servers count of tenants, and says whom nobody uses. */
export const idle: Command<IdleOptions, IdleValue> = {
  name: 'idle',
  summary: 'find tenants that nobody uses, with proof',
  examples: [
    ['tenantctl idle --all', 'take a sample and report; each hour, by cron'],
    ['tenantctl idle --all --no-sample --verbose', 'only report, with a line for each tenant and why'],
    [
      'tenantctl idle --all --json | jq -r \'.outcomes[] | select(.value.verdict == "idle") | .tenant\'',
      'the ids of idle tenants alone',
    ],
  ],
  flags: [...selectionFlags, noSampleFlag, ...limitFlags],
  view,
  options: (raw: RawOptions) => ({
    ...readFleetOptions(raw),
    takesSample: raw.sample !== false,
  }),
  run: (context, options) => {
    const access = { mode: 'read', reachesServers: false, takesSleeping: true, notesSessions: false } as const;
    return withFleet(context, { ...options, ...access }, (fleet) => report(context, fleet, options));
  },
  canRetry: false,
};

async function report(context: Context, fleet: Fleet, options: IdleOptions): Promise<Result<IdleValue>> {
  const { environment, hibernate: policy } = fleet.inventory;
  const found = await idleVerdicts(context, fleet, { sampling: options.takesSample ? 'kept' : 'none' });
  const outcomes = [...found.toSorted(bySaving), ...fleet.rejected];
  for (const outcome of outcomes) context.emit({ type: 'settled', outcome });
  const { afterMs, samples, tierLabel, tiers, never, how } = policy;
  return {
    outcomes,
    run: null,
    environment,
    sources: fleet.sources,
    text: describeIdle(environment, policy, outcomes),
    extra: { policy: { afterMs, samples, tierLabel, tiers, never, how }, fleet: sumUpIdle(outcomes) },
  };
}

const order: readonly IdleValue['verdict'][] = ['idle', 'unknown', 'in-use', 'exempt', 'asleep'];

/** What sleeping saves most comes first: whole servers, then size on disk. */
function bySaving(a: Outcome<IdleValue>, b: Outcome<IdleValue>): number {
  if (a.status !== 'done' || b.status !== 'done') return Number(b.status === 'done') - Number(a.status === 'done');
  return (
    order.indexOf(a.value.verdict) - order.indexOf(b.value.verdict) ||
    Number(b.value.isWholeServer) - Number(a.value.isWholeServer) ||
    (a.value.isWholeServer ? a.tenant.server.localeCompare(b.tenant.server) : 0) ||
    (b.value.sizeBytes ?? 0) - (a.value.sizeBytes ?? 0)
  );
}

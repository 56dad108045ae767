import type { Context } from '../context.ts';
import type { Outcome } from '../fleet/outcome.ts';
import type { Labels } from '../fleet/tenant.ts';
import type { SleepState, SleepWay, TenantSleep } from '../fleet/tenant-state.ts';
import type { Result } from '../output/result.ts';
import type { Command, RawOptions } from './command.ts';
import { selectionFlags } from './flags.ts';
import { type FleetOptions, readFleetOptions } from './fleet-options.ts';
import { mergeOutcomes, withFleet } from './open-fleet.ts';
import { sleepWords } from './sleep-words.ts';

interface Listed {
  readonly labels: Labels;
  /** `unknown`: nobody could be asked. */
  readonly state: SleepState | 'active' | 'unknown';
  /** Of a tenant that is not active; else null. */
  readonly how: SleepWay | null;
  /** RFC 3339, UTC. */
  readonly since: string | null;
  readonly run: string | null;
}

/** `tenantctl tenants list`: exactly what another command would touch with the same flags. */
export const tenantsList: Command<FleetOptions, Listed> = {
  name: 'tenants list',
  summary: 'show which tenants a selection names',
  examples: [
    ['tenantctl tenants list --all', 'the whole fleet'],
    ['tenantctl tenants list -l tier=gold --except acme', 'what another command would touch with these flags'],
    ['tenantctl tenants list --all --json | jq -r .outcomes[].tenant', 'the ids alone'],
  ],
  flags: selectionFlags,
  view: {
    listing: true,
    columns: ['tenant', 'server', 'database', 'schema', 'state', 'labels'],
    row: ({ tenant, ...outcome }) => [
      tenant.id,
      tenant.server,
      tenant.database,
      tenant.schema ?? '-',
      outcome.status === 'done' ? stateText(outcome.value) : '-',
      Object.entries(tenant.labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(' '),
    ],
  },
  options: (raw: RawOptions) => readFleetOptions(raw),
  run: listTenants,
};

async function listTenants(context: Context, options: FleetOptions): Promise<Result<Listed>> {
  const open = { ...options, mode: 'read', reachesServers: false, takesSleeping: true } as const;
  return withFleet(context, open, async (fleet) => {
    const listed: Outcome<Listed>[] = fleet.tenants.map((tenant) => ({
      tenant,
      status: 'done',
      value: { labels: tenant.labels, ...stateOf(fleet.sleeping.get(tenant), fleet.unknown?.has(tenant) === true) },
      durationMs: 0,
    }));
    return {
      outcomes: mergeOutcomes<Listed>(fleet.selected, fleet.rejected, listed),
      environment: fleet.inventory.environment,
      sources: fleet.sources,
    };
  });
}

function stateOf(sleep: TenantSleep | undefined, isUnknown: boolean): Omit<Listed, 'labels'> {
  if (sleep === undefined) return { state: isUnknown ? 'unknown' : 'active', how: null, since: null, run: null };
  const { state, how, since, run } = sleep;
  return { state, how, since: since.toISOString(), run };
}

function stateText({ state, how, since }: Listed): string {
  return how === null || since === null ? state : sleepWords({ state, how, since });
}

import type { Context } from '../context.ts';
import type { Outcome } from '../fleet/outcome.ts';
import type { Labels } from '../fleet/tenant.ts';
import type { Result } from '../output/result.ts';
import type { Command, RawOptions } from './command.ts';
import { selectionFlags } from './flags.ts';
import { type FleetOptions, readFleetOptions } from './fleet-options.ts';
import { mergeOutcomes, withFleet } from './open-fleet.ts';

interface Listed {
  readonly labels: Labels;
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
    columns: ['tenant', 'server', 'database', 'schema', 'labels'],
    row: ({ tenant }) => [
      tenant.id,
      tenant.server,
      tenant.database,
      tenant.schema ?? '-',
      Object.entries(tenant.labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(' '),
    ],
  },
  options: (raw: RawOptions) => readFleetOptions(raw),
  run: listTenants,
};

async function listTenants(context: Context, options: FleetOptions): Promise<Result<Listed>> {
  return withFleet(context, { ...options, mode: 'read', reachesServers: false }, async (fleet) => {
    const listed: Outcome<Listed>[] = fleet.tenants.map((tenant) => ({
      tenant,
      status: 'done',
      value: { labels: tenant.labels },
      durationMs: 0,
    }));
    return {
      outcomes: mergeOutcomes<Listed>(fleet.selected, fleet.rejected, listed),
      environment: fleet.inventory.environment,
      sources: fleet.sources,
    };
  });
}

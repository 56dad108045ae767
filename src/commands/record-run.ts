import { hostname } from 'node:os';
import type { Context } from '../context.ts';
import { Ledger } from '../fleet/ledger.ts';
import type { Outcome } from '../fleet/outcome.ts';
import type { Tenant } from '../fleet/tenant.ts';
import { separateFlags } from './environment-flags.ts';
import type { Fleet } from './open-fleet.ts';

/** Takes tenants into a run that its manifest does not name; they are written down when it resolves. */
export type JoinRun = (tenants: readonly Tenant[]) => Promise<void>;

/**
 * Writes a run down: the manifest before the work begins, each outcome that `work` tells its context as it settles,
 * and its end. Those that stood before are told there too, so that `--from-run` knows all of the run's tenants.
 */
export async function recordRun<T>(
  context: Context,
  fleet: Fleet,
  command: string,
  options: Readonly<Record<string, unknown>>,
  work: (context: Context, join: JoinRun) => Promise<T>,
): Promise<T> {
  const ledger = await Ledger.create(fleet.inventory.state, {
    schema: 'tenantctl/1',
    run: fleet.run,
    command,
    startedAt: context.now().toISOString(),
    environment: fleet.inventory.environment,
    version: context.version,
    host: hostname(),
    ...separateFlags(fleet.typed, context.env),
    options,
    tenants: fleet.selected.map(({ id }) => id),
  });
  const record = (outcome: Outcome) => ledger.record(outcome, context.now());
  const end = async (how: { readonly error?: string }) => {
    const interrupted = context.interrupts.stop.aborted;
    tellIncomplete(context, fleet, await ledger.end({ endedAt: context.now().toISOString(), interrupted, ...how }));
  };
  const recorded: Context = {
    ...context,
    emit: (event) => {
      if (event.type === 'settled') record(event.outcome);
      context.emit(event);
    },
  };
  let result: T;
  try {
    result = await work(recorded, (tenants) => ledger.join(tenants.map(({ id }) => id)));
  } catch (error) {
    await end({ error: error instanceof Error ? error.message : String(error) });
    throw error;
  }
  await end({});
  return result;
}

function tellIncomplete(context: Context, fleet: Fleet, error: unknown): void {
  if (error === null) return;
  context.emit({
    type: 'notice',
    level: 'warning',
    message: `the record of run ${fleet.run} is not complete: ${String(error)}`,
    hint: 'the report of this command is; free space in the state folder',
  });
}

import type { Context } from '../context.ts';
import { Ledger } from '../fleet/ledger.ts';
import type { Outcome } from '../fleet/outcome.ts';
import type { Fleet } from './open-fleet.ts';

/**
 * Writes a run down: the manifest before the work begins, each outcome that `work` tells its context as it settles.
 * Those that stood before are told there too, so that `--from-run` knows all of the run's tenants.
 */
export async function recordRun<T>(
  context: Context,
  fleet: Fleet,
  command: string,
  options: Readonly<Record<string, unknown>>,
  work: (context: Context) => Promise<T>,
): Promise<T> {
  const ledger = await Ledger.create(fleet.inventory.state, {
    schema: 'tenantctl/1',
    run: fleet.run,
    command,
    startedAt: context.now().toISOString(),
    environment: fleet.inventory.environment,
    version: context.version,
    options,
    tenants: fleet.selected.map(({ id }) => id),
  });
  const record = (outcome: Outcome) => ledger.record(outcome, context.now());
  try {
    return await work({
      ...context,
      emit: (event) => {
        if (event.type === 'settled') record(event.outcome);
        context.emit(event);
      },
    });
  } finally {
    const error = await ledger.close();
    if (error !== null) {
      context.emit({
        type: 'notice',
        level: 'warning',
        message: `the record of run ${fleet.run} is not complete: ${String(error)}`,
        hint: 'the report of this command is; free space in the state folder',
      });
    }
  }
}

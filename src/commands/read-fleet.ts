import type { Context } from '../context.ts';
import type { EventListener } from '../fleet/events.ts';
import type { Outcome } from '../fleet/outcome.ts';
import type { ErrorReader, Place } from '../fleet/place.ts';
import { type FailurePolicy, runFleet } from '../fleet/run.ts';
import type { Tenant } from '../fleet/tenant.ts';
import { errorKind, toFailure } from '../postgres/failure.ts';
import type { Fleet } from './open-fleet.ts';

/** How the executor reads PostgreSQL's errors. */
export const errorReader: ErrorReader = { kind: errorKind, toFailure };

/** A run that only reads goes on, whatever fails. */
export const goOn: FailurePolicy = { maxFailures: null, maxSameCause: null };

/** Reads from many tenants. Progress counts them; a tenant's reading is no outcome of the command, so it is not shown. */
export function readFleet<V>(
  context: Context,
  fleet: Fleet,
  phase: string,
  tenants: readonly Tenant[],
  places: readonly Place<unknown, V>[],
): Promise<Outcome<V>[]> {
  return runFleet<V>({
    phase,
    tenants,
    places,
    limits: fleet.limits,
    policy: goOn,
    timeoutMs: null,
    errors: errorReader,
    interrupts: context.interrupts,
    emit: withoutTenants(context.emit),
  });
}

/** Events of a phase whose tenants are not those of the command, or not yet. */
export function withoutTenants(emit: EventListener): EventListener {
  return (event) => {
    if (event.type === 'settled') emit({ type: 'read', outcome: event.outcome });
    else if (['phase', 'phase-ended', 'notice', 'read'].includes(event.type)) emit(event);
  };
}

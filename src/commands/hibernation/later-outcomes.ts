import type { Context, Interrupts } from '../../context.ts';
import type { EventListener } from '../../fleet/events.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';

/**
 * For a phase whose end is not the tenant's end: who settles there waits for its next turn. What has truly become of it
 * is told when that is known.
 */
export function withoutOutcomes(emit: EventListener): EventListener {
  return (event) => {
    if (event.type !== 'settled') emit(event);
    else if (event.outcome.status !== 'skipped') emit({ type: 'put-back', tenant: event.outcome.tenant });
  };
}

/** For putting back what was begun: the first Ctrl-C is no reason to leave it; the second is. */
export function untilCancelled({ cancel, abandon }: Interrupts): Interrupts {
  return { stop: cancel, cancel, abandon };
}

/** A context that keeps in mind whose end was told. */
export function noteSettled(context: Context): { readonly context: Context; readonly tenants: ReadonlySet<Tenant> } {
  const tenants = new Set<Tenant>();
  const emit: EventListener = (event) => {
    if (event.type === 'settled') tenants.add(event.outcome.tenant);
    context.emit(event);
  };
  return { context: { ...context, emit }, tenants };
}

/** Tells the ends that nobody has told yet; gives back all. */
export function settleRest<V>(
  { emit }: Pick<Context, 'emit'>,
  outcomes: readonly Outcome<V>[],
  told: ReadonlySet<Tenant>,
): readonly Outcome<V>[] {
  for (const outcome of outcomes) if (!told.has(outcome.tenant)) emit({ type: 'settled', outcome });
  return outcomes;
}

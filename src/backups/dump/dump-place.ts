import type { Batch, Place, Task } from '../../fleet/place.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { toFailure } from '../../postgres/failure.ts';
import type { Session } from '../../postgres/session.ts';
import { CompanionBook } from './companion-book.ts';
import { cutBatches, type WeighedTenant } from './cut-batches.ts';
import { dumpTenants } from './dump-tenants.ts';
import { DumpTries } from './dump-tries.ts';
import type { Dumped, DumpedPlace, DumpScope, DumpSettings } from './dumped-place.ts';
import { isBusyStarting, outlast } from './outage.ts';
import { isEmptySchema, readExtensions, readLockTable, type SchemaWeight, weighSchemas } from './snapshot.sql.ts';

/** The dump of one database, as the executor runs it: batches under one snapshot, an archive a tenant. */
export function dumpPlace(place: DumpedPlace): Place<DumpScope, Dumped> {
  const { server, database, tenants, holder, heldConnections, settings } = place;
  const tries = new DumpTries(tenants);
  return {
    server,
    database,
    tenants,
    heldConnections,
    open: () => {
      const onWait = (error: unknown) => {
        place.say(
          `${server}/${database}: ${toFailure(error).message}: waiting for up to ${settings.retryForMs / 1000} s`,
        );
      };
      return outlast(
        { outage: { awaySince: null }, forMs: settings.retryForMs, stop: place.stop, passes: isBusyStarting, onWait },
        () => {
          return holder.use(0, ({ session }) => openScope(place, tries, session));
        },
      );
    },
    batches: ({ batches }) => batches,
    mayRunBeside: ({ tenants: some }, running) => {
      // Whoever needs a later snapshot waits until nobody needs the first one any more.
      return [...running].length < settings.lanes && tries.mayRunNow(some, holder.number);
    },
    work: (scope, batch, task) => workOn(place, scope, batch, task),
    close: () => holder.close(),
  };
}

async function openScope(place: DumpedPlace, tries: DumpTries, session: Session): Promise<DumpScope> {
  const { tenants, settings, database, server, sharedSchemas } = place;
  const dump = await place.toolsFor(session);
  const schemas = tenants.flatMap(({ schema }) => schema ?? []);
  const weights = await weighSchemas(session, null);
  const lockTable = await readLockTable(session);
  const weighed = weighTenants(tenants, weights);
  warnOfLocks(place, weighed, lockTable.capacity);
  const cut = cutBatches(weighed, { ...settings, locks: locksWithin(lockTable, settings) });
  const there = new Set(weights.map(({ schema }) => schema));
  const shared = sharedSchemas.filter((schema) => there.has(schema) && !schemas.includes(schema));
  // Reading the catalogue once more for a schema without anything is not worth it.
  const isBare = shared.includes('public') && (await isEmptySchema(session, 'public'));
  const companions = new CompanionBook({
    place,
    dump,
    database: {
      server,
      database,
      sharedSchemas: shared.filter((name) => !isBare || name !== 'public'),
      extensions: await readExtensions(session),
    },
    hasSchemas: schemas.length > 0,
  });
  // A batch without tenants: what they share is dumped beside them, not before them.
  const first: Batch[] = schemas.length > 0 ? [{ tenants: [] }] : [];
  return {
    dump,
    companions,
    tries,
    outage: { awaySince: null },
    batches: [...first, ...cut.map((some) => ({ tenants: some }))],
  };
}

/** Locks that the batches of a run may take together. */
export function locksWithin(
  { capacity, held }: { readonly capacity: number; readonly held: number },
  { lockShare }: Pick<DumpSettings, 'lockShare'>,
): number {
  return capacity * lockShare - held;
}

/** What each tenant costs, from what all schemas of its database do. */
export function weighTenants(
  tenants: readonly Tenant[],
  weights: readonly SchemaWeight[],
): readonly (WeighedTenant & { readonly diskBytes: number })[] {
  const bySchema = new Map(weights.map((weight) => [weight.schema, weight]));
  return tenants.map((tenant) => {
    const own = tenant.schema === null ? weights : [bySchema.get(tenant.schema)];
    const found = own.filter((weight) => weight !== undefined);
    const diskBytes = found.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const locks = found.reduce((sum, { tables, sequences }) => sum + tables + sequences, 0);
    // A database of its own is always dumped alone.
    return { tenant, locks, diskBytes, sizeBytes: tenant.schema === null ? Number.POSITIVE_INFINITY : diskBytes };
  });
}

function warnOfLocks(
  { server, say }: DumpedPlace,
  weighed: readonly { readonly tenant: Tenant; readonly locks: number }[],
  capacity: number,
): void {
  for (const { tenant, locks } of weighed) {
    if (locks > capacity) {
      say(
        `${tenant.id}: its dump takes ${locks} locks, and server ${server} is made for ${capacity}: raise max_locks_per_transaction if it fails`,
      );
    }
  }
}

async function workOn(place: DumpedPlace, scope: DumpScope, batch: Batch, task: Task<Dumped>): Promise<void> {
  const { holder } = place;
  if (batch.tenants.length === 0) {
    await holder.use(0, (snapshot) => scope.companions.of(snapshot, task.signal));
    return;
  }
  await dumpTenants(place, scope, batch.tenants, task);
}

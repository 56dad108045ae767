import { databaseComment } from '../../backups/restore/database-properties.ts';
import type { ServerAccess } from '../../backups/restore/restore-database.ts';
import { schemaComment, swapSchemas } from '../../backups/restore/schema-properties.ts';
import { databaseExists, inTransaction, type SqlRunner, schemaExists } from '../../backups/restore/sql-text.ts';
import { swapDatabases } from '../../backups/restore/swap-database.ts';
import { TenantError } from '../../errors.ts';
import type { RestoreOptions } from './restore-options.ts';
import type { PlannedRestore } from './restore-plan.ts';
import type { RestoreValue } from './restore-value.ts';

export interface EarlierSwap {
  /** What an earlier run said of the tenant. */
  readonly value: RestoreValue;
  readonly access: ServerAccess;
  readonly run: string;
  readonly options: Pick<RestoreOptions, 'disconnect'>;
}

/** Gives what an earlier run has restored beside the living one's name. Under the tenant's lock. */
export async function swapEarlier(
  runner: SqlRunner,
  { tenant, way, livingExists, remarks, workplace, outside }: PlannedRestore,
  { value, access, run, options }: EarlierSwap,
): Promise<RestoreValue> {
  if (value.swapped)
    return { ...value, durationMs: null, bytesPerSecond: null, remarks: ['that run has swapped it already'] };
  const { to } = value;
  const old = way.oldName ?? way.parkedName;
  let hasOld = livingExists;
  if (tenant.schema !== null && to.schema !== null) {
    refuseOther(tenant.id, to.schema, await schemaExists(runner, to.schema), await schemaComment(runner, to.schema));
    if (!livingExists) throw notLiving(tenant.schema);
    const swap = { tenant: tenant.id, run, living: tenant.schema, restored: to.schema, old };
    await inTransaction(runner, () => swapSchemas(runner, swap));
  } else {
    refuseOther(
      tenant.id,
      to.database,
      await databaseExists(runner, to.database),
      await databaseComment(runner, to.database),
    );
    const swap = {
      ...{ tenant: tenant.id, run, living: tenant.database, restored: to.database, old },
      disconnects: options.disconnect,
    };
    hasOld = await access.within(workplace.database, (second) => swapDatabases(runner, second, swap));
  }
  const place = { server: tenant.server, database: tenant.database, schema: tenant.schema };
  return {
    ...{ ...value, to: place, swapped: true, old: hasOld ? old : null },
    ...{ durationMs: null, bytesPerSecond: null, remarks, outside },
  };
}

/** The record says where it was restored to; what stands there must say the same. */
function refuseOther(tenant: string, name: string, isThere: boolean, comment: string | null): void {
  if (isThere && comment?.startsWith(`tenantctl: tenant ${tenant} as of `) === true) return;
  throw new TenantError({
    message: isThere
      ? `${JSON.stringify(name)} does not say that it was restored for this tenant`
      : `${JSON.stringify(name)}, which that run has restored, is no longer there`,
    code: 'not-restored',
    hint: 'restore it once more, without --from-run',
  });
}

function notLiving(schema: string): TenantError {
  return new TenantError({
    message: `schema ${JSON.stringify(schema)} is not there: there is nothing to swap with`,
    code: 'no-tenant',
    hint: 'restore it to where it was: without --swap and --from-run',
  });
}

import type { Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { requireClientTools } from '../../postgres/local/require-client-tools.ts';
import { refuseNarrowLimits } from '../backups/dump-run.ts';
import { serverMajor } from '../backups/restore-tools.ts';
import { refuseWithoutScratch } from '../backups/scratch-means.ts';
import type { Fleet } from '../open-fleet.ts';
import type { HibernateOptions } from './hibernate-options.ts';

/** What would keep every archive from being made or proved, and is known before anybody is fenced. Reads only. */
export function refuseUnready(fleet: Fleet, tenants: readonly Tenant[], { repository }: HibernateOptions): void {
  const { backups, file } = fleet.inventory;
  if (repository.store === null && backups.to === null) {
    throw new UsageError(`${file} does not say where archives are kept`, {
      hint: 'add `backups: { to: ./backups }`, or name the place: --store <folder or s3://bucket/prefix>',
    });
  }
  if (backups.encryptTo.length > 0 && repository.identity === null) {
    throw new UsageError('archives are encrypted, and without a key they cannot be tried out', {
      hint: 'name the file with the key that opens them: --identity <file>',
    });
  }
  refuseNarrowLimits({ ...fleet, tenants });
}

/** Looks for the programs that dump and for the server that archives are tried out on. Refuses (5) when they are not to be had. */
export async function refuseWithoutMeans(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  { scratch }: HibernateOptions,
): Promise<void> {
  const majors = [...new Set(tenants.map((tenant) => serverMajor(fleet, tenant)))];
  for (const major of majors) await requireClientTools(major, context.env);
  await refuseWithoutScratch(context, fleet, scratch, majors);
}

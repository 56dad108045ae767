import { ensureTenantTable, putTenantRow, type TenantRow } from '../../src/postgres/tenant-rows.ts';
import { connectSession } from './sessions.ts';

/** What a test says of a tenant that sleeps; the rest is as `hibernate` writes it for an archive. */
export type SleepSpec = Partial<TenantRow> & Pick<TenantRow, 'schema'> & { readonly applied?: readonly string[] };

/** Writes that tenants sleep, as hibernating does, in the database where that is kept. */
export async function writeSleepRows(home: string, specs: readonly SleepSpec[]): Promise<void> {
  const session = await connectSession(home);
  try {
    await ensureTenantTable(session);
    for (const { applied, ...spec } of specs) {
      await putTenantRow(session, {
        ...{ database: home, tenant: spec.schema ?? '', labels: {}, state: 'hibernated', how: 'archive' },
        ...{ run: '2026-11-22T101500Z-k3f9', step: '', fence: null },
        receipt: applied === undefined ? null : { applied },
        ...spec,
      });
    }
  } finally {
    await session.end();
  }
}

import type { Dumped } from '../../backups/dump/dumped-place.ts';
import type { Backup } from '../../backups/repository/backup.ts';
import { baseKey } from '../../backups/repository/names.ts';
import type { Repository } from '../../backups/repository/repository.ts';
import type { Context } from '../../context.ts';
import { TenantError } from '../../errors.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { openFence } from '../../hibernation/open-fence.ts';
import type { Fence, Structure, TableRows } from '../../hibernation/receipt.ts';
import { readRows } from '../../hibernation/row-prints.ts';
import type { Session } from '../../postgres/session.ts';
import { readDumpOptions } from '../backups/dump-options.ts';
import { runDumps } from '../backups/dump-run.ts';
import { DumpSources } from '../backups/dump-sources.ts';
import { readVerifyOptions } from '../backups/verify-options.ts';
import { runVerification } from '../backups/verify-run.ts';
import type { Fleet } from '../open-fleet.ts';
import type { HibernateOptions } from './hibernate-options.ts';
import { structureOfDatabase, structureReader } from './structure-of.ts';

/** An archive that was restored in a scratch database, and what stood there. */
export interface ProvenArchive {
  readonly backup: Backup;
  readonly verifiedAt: string;
  readonly rows: readonly TableRows[];
  /** As it will read when it is woken; null: the scratch database lacked something of that. */
  readonly structure: Structure | null;
}

export interface DumpedTenant {
  readonly dumped: Dumped;
  readonly fence: Fence;
}

/** Dumps fenced tenants as `dump` does, those of a database together. */
export async function dumpFenced(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  repository: Repository,
  options: HibernateOptions,
): Promise<readonly Outcome<Dumped>[]> {
  if (tenants.length === 0) return [];
  const dumping = {
    ...readDumpOptions({}),
    ...{ limits: options.limits, timeoutMs: options.timeoutMs, repository: options.repository },
    ...{ lockWaitMs: options.lockWaitMs, retryForMs: options.retryForMs },
  };
  await using sources = new DumpSources(context, fleet, dumping);
  for (const server of new Set(tenants.map((tenant) => tenant.server))) await fleet.pools.closeIdle(server);
  const { outcomes, lacking } = await runDumps(context, { ...fleet, tenants }, dumping, { repository, sources });
  // It belongs to no tenant, and whoever needs it is found out when it is restored.
  for (const message of lacking) context.emit({ type: 'notice', level: 'warning', message });
  return outcomes;
}

/** Restores each of these archives in a scratch database, compares them, and keeps what their rows were there. */
export async function proveArchives(
  context: Context,
  fleet: Fleet,
  dumped: ReadonlyMap<Tenant, DumpedTenant>,
  repository: Repository,
  options: HibernateOptions,
): Promise<readonly Outcome<ProvenArchive>[]> {
  if (dumped.size === 0) return [];
  const found = new Map<string, Pick<ProvenArchive, 'rows' | 'structure'>>();
  const byId = new Map([...dumped].map(([tenant, { fence }]) => [tenant.id, { tenant, fence }]));
  const planned = await Promise.all(
    [...dumped].map(
      async ([
        tenant,
        {
          dumped: { time },
        },
      ]) => {
        const backup = await repository.findBackup(baseKey({ kind: 'tenant', tenant: tenant.id }, time));
        return { tenant, backups: backup === null ? [] : [backup], unfinished: 0 };
      },
    ),
  );
  const verifying = {
    ...readVerifyOptions({ level: 'restore', ...(options.scratch === null ? {} : { scratch: options.scratch }) }),
    ...{ limits: options.limits, timeoutMs: options.timeoutMs, repository: options.repository },
  };
  const outcomes = await runVerification(
    context,
    { ...fleet, tenants: [...dumped.keys()] },
    {
      ...{ repository, planned, options: verifying, budget: new AbortController().signal },
      onRestored: async (session, { subject, place }) => {
        const known = subject.kind === 'tenant' ? byId.get(subject.tenant) : undefined;
        if (known === undefined) return;
        const rows = await readRows(session, place.schema === null ? null : [place.schema]);
        found.set(known.tenant.id, { rows, structure: await readRestored(session, known.tenant, known.fence) });
      },
    },
  );
  const backups = new Map(planned.map(({ tenant, backups: [backup] }) => [tenant, backup]));
  const verifiedAt = context.now().toISOString();
  return outcomes.map((outcome): Outcome<ProvenArchive> => {
    if (outcome.status !== 'done') return outcome;
    const { tenant, value, durationMs } = outcome;
    const [backup, restored] = [backups.get(tenant), found.get(tenant.id)];
    if (value.verdict !== 'passed' || backup == null || restored === undefined) {
      return { tenant, status: 'failed', step: 'verifying', error: notProven(value.problems), durationMs };
    }
    return { tenant, status: 'done', value: { backup, verifiedAt, ...restored }, durationMs };
  });
}

/** What it is with its rights given back, for a moment that nobody sees. */
async function readRestored(session: Session, tenant: Tenant, fence: Fence): Promise<Structure | null> {
  const { schema } = tenant;
  await session.raw('BEGIN');
  try {
    if (schema === null) return await structureOfDatabase(session, tenant);
    await openFence(session, schema, fence);
    return await structureReader(tenant)(session, schema);
  } catch (error) {
    // A scratch server has not all roles; whether the archive is sound is not the question here.
    if (session.isBroken) throw error;
    return null;
  } finally {
    if (!session.isBroken) await session.raw('ROLLBACK');
  }
}

function notProven(problems: readonly string[]) {
  const [first = 'it was not restored', ...rest] = problems;
  return new TenantError({
    message: `its archive is no proof of it: ${first}`,
    code: 'not-proven',
    ...(rest.length === 0 ? {} : { detail: rest.join('\n') }),
    hint: 'nothing was dropped, and it is in use as before; see what is wrong: tenantctl verify --level restore',
  }).failure;
}

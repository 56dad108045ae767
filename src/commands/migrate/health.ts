import type { Context } from '../../context.ts';
import { RefusedError } from '../../errors.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { readChecks } from '../../migrations/check-texts.ts';
import type { Fleet } from '../open-fleet.ts';
import { checkFleet } from './check-fleet.ts';
import { describeComplaints } from './complaint-text.ts';
import { runHealthCommand } from './health-command.ts';

/** What must be well after a wave before the next one begins; null: not asked for. */
export interface HealthCheck {
  readonly sql: string | null;
  readonly command: string | null;
}

/** Where the run stands. */
export interface WaveFacts {
  readonly run: string;
  /** From 1 on. */
  readonly wave: number;
  readonly waves: number;
}

const maxTenantsNamed = 3;

/** Refuses (exit 5) a `--health-sql` that is no query. For the time before anything has moved. */
export async function refuseHealthSql({ sql }: HealthCheck): Promise<void> {
  if (sql !== null) await readHealthSql(sql);
}

/**
 * Asks whether the migrated tenants are well: the query on each of them, then the command once. Null: they are;
 * else one line for people that says what is wrong and on whom. A check that could not be made, or that the operator has
 * stopped, is no good news either, and no reason to reject.
 */
export async function checkHealth(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  health: HealthCheck,
  facts: WaveFacts,
): Promise<string | null> {
  const complaint =
    (await checkBySql(context, fleet, tenants, health.sql)) ??
    (await checkByCommand(context, fleet, tenants, health.command, facts));
  return complaint === null ? null : `health check: ${complaint}`;
}

async function checkBySql(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  sql: string | null,
): Promise<string | null> {
  if (sql === null || tenants.length === 0) return null;
  try {
    const checks = await readHealthSql(sql);
    // It runs inside a phase of the run, whose progress it must not replace.
    const inPhase: Context = { ...context, emit: (event) => event.type === 'notice' && context.emit(event) };
    const complaints = await checkFleet(inPhase, fleet, 'health check', new Map(tenants.map((each) => [each, checks])));
    if (context.interrupts.stop.aborted) return 'stopped';
    const lines = describeComplaints(complaints, tenants.length, { atMost: maxTenantsNamed, verb: ' complain' });
    return lines.length === 0 ? null : lines.join('; ');
  } catch (error) {
    // In the middle of a run a mistake in the text is a reason not to go on, and not to end without a report.
    if (error instanceof RefusedError) return error.details.join('; ');
    throw error;
  }
}

function readHealthSql(sql: string) {
  return readChecks([{ name: '--health-sql', sql }]);
}

async function checkByCommand(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  command: string | null,
  { run, wave, waves }: WaveFacts,
): Promise<string | null> {
  if (command === null) return null;
  if (context.interrupts.stop.aborted) return 'stopped';
  const { environment } = fleet.inventory;
  const input = tenants.map(({ id }) => `${id}\n`).join('');
  const { problem, lastLines } = await runHealthCommand(context, command, {
    facts: {
      TENANTCTL_RUN: run,
      TENANTCTL_WAVE: `${wave}/${waves}`,
      TENANTCTL_ENVIRONMENT: environment,
      TENANTCTL_TENANT_COUNT: String(tenants.length),
    },
    input,
  });
  if (problem === null) return null;
  const last = lastLines.at(-1);
  for (const line of lastLines.slice(0, -1)) {
    context.emit({ type: 'notice', level: 'warning', message: `health command: ${line}` });
  }
  return `the command ${problem}${last === undefined ? '' : `: ${last}`}`;
}

import { type Failure, TenantError } from '../errors.ts';
import type { Batch, Place, Task } from '../fleet/place.ts';
import { type Tenant, tenantSchema } from '../fleet/tenant.ts';
import { keepCancelling } from '../postgres/cancelling.ts';
import { errorKind, toFailure } from '../postgres/failure.ts';
import { type FirstRows, readFirstRows } from '../postgres/first-rows.ts';
import type { Session } from '../postgres/session.ts';
import type { SessionPools } from '../postgres/session-pools.ts';
import { sql } from '../postgres/sql.ts';
import { prepareSession } from '../postgres/tenant-session.ts';
import type { TenantCheck } from './check-texts.ts';

/** What a check has to say of one tenant: rows, or why it could not be made. */
export type Complaint = {
  readonly check: TenantCheck;
} /** `email=a@b.c, count=2`: values by their columns, shortened. */ & (
  | { readonly rows: readonly string[]; readonly hasMore: boolean }
  | { readonly failure: Failure }
);

/** Kept of a complaint: enough to know what is wrong, whatever the check returns. */
const maxRows = 3;
const maxColumns = 6;
const maxValueLength = 60;

/** For fewer tenants another connection would cost more time than it saves. */
const fewestPerBatch = 8;
const mostPerBatch = 24;

export interface CheckerOptions {
  readonly pools: SessionPools;
  readonly applicationName: (tenant: Tenant) => string;
  readonly statementTimeoutMs: number;
  /** The checks of one tenant. */
  readonly checksOf: (tenant: Tenant) => readonly TenantCheck[];
}

/**
 * Makes checks on tenants: each check in a read-only transaction of its own, in a session that stands where the tenant's
 * migrations stand. A tenant that nothing is said of is well. What goes wrong on one tenant is a complaint about it.
 */
export class TenantChecker {
  readonly #options: CheckerOptions;

  constructor(options: CheckerOptions) {
    this.#options = options;
  }

  /** The tenants of one database as work for the executor, which runs up to `perDatabase` batches of it side by side. */
  place(
    server: string,
    database: string,
    tenants: readonly Tenant[],
    perDatabase: number,
  ): Place<unknown, readonly Complaint[]> {
    const fairShare = Math.ceil(tenants.length / perDatabase);
    const batches = cut(tenants, Math.min(mostPerBatch, Math.max(fewestPerBatch, fairShare)));
    return {
      server,
      database,
      tenants,
      batches: () => batches,
      work: (_scope, batch, task) => {
        return this.#options.pools.use(server, database, (session) => this.#checkBatch(session, batch, task));
      },
    };
  }

  async #checkBatch(session: Session, batch: Batch, task: Task<readonly Complaint[]>): Promise<void> {
    // Nothing is lost by leaving at the first Ctrl-C.
    const leave = AbortSignal.any([task.stop, task.signal]);
    let stopCancelling = () => {};
    const cancel = () => {
      stopCancelling = keepCancelling(session);
    };
    leave.addEventListener('abort', cancel, { once: true });
    try {
      for (const tenant of batch.tenants) {
        if (leave.aborted) task.notStarted(tenant);
        else task.done(tenant, await this.#check(session, tenant, leave));
      }
    } finally {
      leave.removeEventListener('abort', cancel);
      stopCancelling();
    }
  }

  async #check(session: Session, tenant: Tenant, leave: AbortSignal): Promise<readonly Complaint[]> {
    const checks = this.#options.checksOf(tenant);
    try {
      // Not sent together with the checks: these must not run with rights, or in a schema, that are not the tenant's.
      await this.#standIn(session, tenant);
    } catch (error) {
      const failure = failureOfTenant(error, leave);
      return checks.map((check) => ({ check, failure }));
    }
    const answers = await Promise.all(checks.map((check) => ask(session, check, leave)));
    return answers.filter((answer) => answer !== null);
  }

  async #standIn(session: Session, tenant: Tenant): Promise<void> {
    const prepared = prepareSession(session, {
      searchPath: tenant.searchPath,
      role: tenant.role,
      lockTimeoutMs: 2000,
      statementTimeoutMs: this.#options.statementTimeoutMs,
      applicationName: this.#options.applicationName(tenant),
    });
    const looked = session.query<{ schema: string | null }>(sql`SELECT pg_catalog.current_schema() AS schema`);
    const [, [row]] = await Promise.all([prepared, looked]);
    const [standsIn, schema] = [row?.schema ?? null, tenantSchema(tenant)];
    if (standsIn === schema) return;
    throw new TenantError({
      message: `the session stands in schema ${JSON.stringify(standsIn)} and not in ${JSON.stringify(schema)}`,
      code: 'wrong-schema',
    });
  }
}

/** Null: no row, the tenant is well. */
async function ask(session: Session, check: TenantCheck, leave: AbortSignal): Promise<Complaint | null> {
  try {
    const { columns, rows, hasMore } = await readFirstRows(session, check.query, { maxRows, maxValueLength });
    return rows.length === 0 ? null : { check, rows: rows.map((row) => describeRow(columns, row)), hasMore };
  } catch (error) {
    return { check, failure: failureOfTenant(error, leave) };
  }
}

function describeRow(columns: FirstRows['columns'], row: FirstRows['rows'][number]): string {
  const cells = row.slice(0, maxColumns).map((value, index) => {
    const name = columns[index] ?? '';
    // What the server calls a column that nobody named.
    return name === '?column?' ? String(value) : `${name}=${value}`;
  });
  return [...cells, ...(row.length > maxColumns ? ['…'] : [])].join(', ');
}

/** What is not about this tenant alone is thrown on, for the executor to deal with. */
function failureOfTenant(error: unknown, leave: AbortSignal): Failure {
  if (leave.aborted || errorKind(error) !== 'other') throw error;
  return toFailure(error);
}

function cut(tenants: readonly Tenant[], size: number): readonly Batch[] {
  const count = Math.ceil(tenants.length / size);
  return Array.from({ length: count }, (_, index) => ({ tenants: tenants.slice(index * size, (index + 1) * size) }));
}

import type { OutputStream } from '../../src/context.ts';
import type { Failure } from '../../src/errors.ts';
import type { Blocker, Outcome } from '../../src/fleet/outcome.ts';
import type { Tenant } from '../../src/fleet/tenant.ts';
import type { CommandView } from '../../src/output/result.ts';

export function tenant(id: string, more: Partial<Tenant> = {}): Tenant {
  const schema = `tenant_${id}`;
  return { id, server: 'main', database: 'saas', schema, labels: {}, searchPath: [schema], role: null, ...more };
}

export function done(id: string, value: unknown = {}, more: Partial<Tenant> = {}): Outcome {
  return { tenant: tenant(id, more), status: 'done', durationMs: 12, value };
}

export function failed(id: string, error: Failure = relationExists, more: Partial<Tenant> = {}): Outcome {
  return { tenant: tenant(id, more), status: 'failed', durationMs: 9, step: '0003_tasks', error };
}

export function interrupted(id: string): Outcome {
  return { tenant: tenant(id), status: 'interrupted', durationMs: 5, step: '0002_more' };
}

export function skipped(id: string, reason: 'not-started' | 'hibernated' = 'not-started', because?: string): Outcome {
  const outcome = { tenant: tenant(id), status: 'skipped', durationMs: 0, reason } as const;
  return because === undefined ? outcome : { ...outcome, because };
}

/** Seen at 10:15:00: in a transaction for 42 s. */
export function blocker(pid: number, more: Partial<Blocker> = {}): Blocker {
  return {
    pid,
    application: 'psql',
    user: 'app',
    state: 'idle in transaction',
    transactionStartedAt: '2026-11-22T10:14:18.000Z',
    queryStartedAt: '2026-11-22T10:14:20.000Z',
    tenant: null,
    ...more,
  };
}

export const relationExists: Failure = {
  message: 'relation "tasks" already exists',
  sqlState: '42P07',
  file: 'migrations/0003_tasks.sql',
  line: 2,
  hint: 'drop the table, or mark the migration as applied with --fake',
};

export const view: CommandView = {
  columns: ['tenant', 'to'],
  row: (outcome) => (outcome.status === 'done' ? [outcome.tenant.id, String(outcome.value)] : null),
};

/** A stream that keeps what is written. */
export class MemoryStream implements OutputStream {
  readonly isTTY: boolean;
  readonly columns: number;
  text = '';
  writes = 0;

  constructor(options: { isTTY?: boolean; columns?: number } = {}) {
    this.isTTY = options.isTTY ?? false;
    this.columns = options.columns ?? 80;
  }

  write(text: string): void {
    this.text += text;
    this.writes += 1;
  }
}

export async function readAll(pieces: Iterable<string> | AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}

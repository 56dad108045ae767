import { TenantError } from '../../errors.ts';
import { type Tenant, tenantSchema } from '../../fleet/tenant.ts';
import type { Session } from '../../postgres/session.ts';
import { listNames } from '../../words.ts';
import type { FactSet, OwnNames } from '../fact.ts';
import { mapSchemas } from '../hash-schemas.ts';
import { printingPath } from '../own-names.ts';
import { readFacts } from '../read-facts.ts';
import { refuseShadows } from './check-shadows.ts';
import { fillIn } from './fill-in.ts';
import { describeLeft, type FixPlan, isTold, isWhole, leftOf, scriptOf } from './plan-fix.ts';

/** What was shown of a tenant, and how it is planned anew. */
export interface FixOrder {
  /** The plan that was shown and agreed to: another one is not run. */
  readonly planned: FixPlan;
  /** Plans for the tenant as it is now; the function that made `planned`. */
  readonly plan: (actual: FactSet) => FixPlan;
}

/** `value` of a done outcome. */
export interface FixResult {
  /** Statements that were run; with `--dry-run`, that would be. */
  readonly statements: number;
  /** What differs still, for it cannot be fixed: it was said before. */
  readonly left: readonly string[];
  /** Nothing is left but what is cosmetic. */
  readonly whole: boolean;
}

export interface ApplyOptions {
  readonly own: OwnNames;
  readonly onStep: (step: string) => void;
  /** Aborted: begin nothing more. */
  readonly signal: AbortSignal;
}

/**
 * Brings one tenant to its reference in one transaction, on a session that holds the tenant's locks. What is committed
 * was proved: read again after the change, nothing is left of what was to be fixed. It throws a TenantError, and leaves
 * nothing behind, when something is, or when the tenant is not what was planned for.
 */
export async function applyFix(
  session: Session,
  tenant: Tenant,
  { planned, plan }: FixOrder,
  { own, onStep, signal }: ApplyOptions,
): Promise<FixResult> {
  await session.raw('BEGIN');
  onStep('reading it again');
  const actual = await readNow(session, tenant, own);
  const now = plan(actual);
  // Another run, or this one before its connection was lost, has done it.
  if (now.statements.length === 0 && now.differences.every((each) => isTold(each, planned))) {
    await session.raw('ROLLBACK');
    return { statements: 0, left: leftOf(now), whole: isWhole(now) };
  }
  if (scriptOf(now) !== scriptOf(planned)) throw new TenantError(movedOn);
  await refuseShadows(session, own.schema, now);
  await runStatements(session, now, { own, onStep, signal });
  onStep('comparing it with the reference');
  const after = plan(await readNow(session, tenant, own));
  const left = after.differences.filter((each) => {
    return !isTold(each, now) && !(each.class === 'cosmetic' && isTold(each, after));
  });
  if (left.length > 0) throw stillDifferent(describeLeft(left));
  onStep('committing');
  await session.raw('COMMIT');
  return { statements: now.statements.length, left: leftOf(after), whole: isWhole(after) };
}

async function runStatements(
  session: Session,
  { statements }: FixPlan,
  { own, onStep, signal }: ApplyOptions,
): Promise<void> {
  // Names are those of the facts.
  await session.raw(`SET LOCAL search_path = ${printingPath(own.schema)}`);
  await session.raw('SET LOCAL standard_conforming_strings = on');
  // What a body names is not looked at, for it may come later.
  await session.raw('SET LOCAL check_function_bodies = off');
  const bodies: string[] = [];
  for (const each of statements) {
    signal.throwIfAborted();
    onStep(shorten(each.text));
    const text = fillIn(each, own);
    await session.raw(text);
    if (each.phase === 'routines' && text !== each.text && text.startsWith('CREATE OR REPLACE ')) bodies.push(text);
  }
  // The tenant's names were put into these: are they still what their language can read?
  if (bodies.length > 0) await session.raw('SET LOCAL check_function_bodies = on');
  for (const text of bodies) await session.raw(text);
}

const movedOn = {
  message: 'the tenant was changed since it was looked at: what was shown is not what it needs now',
  code: 'changed-meanwhile',
  hint: 'look again with `tenantctl drift fix`, and run it then',
};

/** The settings that facts are printed by end with the reading: what a fix computes depends on the database's own. */
async function readNow(session: Session, tenant: Tenant, own: OwnNames): Promise<FactSet> {
  await session.raw('SAVEPOINT reading');
  const mapped = (await mapSchemas(session, [own.schema])).get(own.schema);
  if (mapped !== undefined) {
    const facts = await readFacts(session, mapped, own);
    await session.raw('ROLLBACK TO SAVEPOINT reading');
    return facts;
  }
  throw new TenantError({
    message: `schema ${JSON.stringify(tenantSchema(tenant))} does not exist in database ${tenant.database}`,
    code: 'schema-missing',
    hint: 'create it, or take the tenant out of the inventory',
  });
}

function stillDifferent(left: readonly string[]): TenantError {
  return new TenantError({
    message: `after the fix it would still differ: ${listNames(left, 5)}`,
    code: 'still-different',
    detail: left.join('; '),
    hint: 'everything was rolled back; look at it with `tenantctl drift -v`, and write a migration for it',
  });
}

function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}

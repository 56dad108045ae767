import { TenantError } from '../../errors.ts';
import { type Tenant, tenantSchema } from '../../fleet/tenant.ts';
import type { Session } from '../../postgres/session.ts';
import { listNames } from '../../words.ts';

import { type FactSet, factKey, type OwnNames } from '../fact.ts';
import { mapSchemas } from '../hash-schemas.ts';
import { printingPath } from '../own-names.ts';
import { readFacts } from '../read-facts.ts';
import { fillIn } from './fill-in.ts';
import type { Unsupported } from './fix-scope.ts';

import { type FixPlan, isWhole, leftOf, scriptOf } from './plan-fix.ts';

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
  const now = plan(await readNow(session, tenant, own));
  // Another run, or this one before its connection was lost, has done it.
  if (now.statements.length === 0 && [...listKeys(now)].every((key) => listKeys(planned).has(key))) {
    await session.raw('ROLLBACK');
    return { statements: 0, left: leftOf(now), whole: isWhole(now) };
  }
  if (scriptOf(now) !== scriptOf(planned)) throw new TenantError(movedOn);
  await runStatements(session, now, { own, onStep, signal });
  onStep('comparing it with the reference');
  const after = plan(await readNow(session, tenant, own));
  const isLeft = ({ difference }: Unsupported) =>
    difference.class !== 'cosmetic' && !listKeys(now).has(keyOf(difference));
  if (after.statements.length > 0 || after.unsupported.some(isLeft)) throw stillDifferent(after);
  onStep('committing');
  await session.raw('COMMIT');
  return { statements: now.statements.length, left: leftOf(after), whole: isWhole(after) };
}

async function runStatements(
  session: Session,
  { statements }: FixPlan,
  { own, onStep, signal }: ApplyOptions,
): Promise<void> {
  // Names are those of the facts; what a body names is not looked at, for it may come later.
  await session.raw(`SET LOCAL search_path = ${printingPath(own.schema)}`);
  await session.raw('SET LOCAL check_function_bodies = off');
  for (const each of statements) {
    signal.throwIfAborted();
    onStep(shorten(each.text));
    await session.raw(fillIn(each, own));
  }
}

const keyOf = ({ kind, name }: Unsupported['difference']) => factKey(kind, name);

function listKeys({ unsupported }: FixPlan): ReadonlySet<string> {
  return new Set(unsupported.map(({ difference }) => keyOf(difference)));
}

const movedOn = {
  message: 'the tenant was changed since it was looked at: what was shown is not what it needs now',
  code: 'changed-meanwhile',
  hint: 'look again with `tenantctl drift fix`, and run it then',
};

async function readNow(session: Session, tenant: Tenant, own: OwnNames): Promise<FactSet> {
  const mapped = (await mapSchemas(session, [own.schema])).get(own.schema);
  if (mapped !== undefined) return readFacts(session, mapped, own);
  throw new TenantError({
    message: `schema ${JSON.stringify(tenantSchema(tenant))} does not exist in database ${tenant.database}`,
    code: 'schema-missing',
    hint: 'create it, or take the tenant out of the inventory',
  });
}

function stillDifferent(after: FixPlan): TenantError {
  const left = [...after.statements.map(({ text }) => shorten(text)), ...leftOf(after)];
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

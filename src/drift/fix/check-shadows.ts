import { TenantError } from '../../errors.ts';
import type { Session } from '../../postgres/session.ts';
import { namesIn } from './mentions.ts';
import type { FixPlan } from './plan-fix.ts';
import { type Shadow, shadowsOf } from './shadows.sql.ts';

/**
 * Refuses to run statements that may call what a tenant's role has put in the way of PostgreSQL's own: they would run it
 * with the rights of the login role. What the reference has as well is meant to be there.
 */
export async function refuseShadows(session: Session, schema: string, plan: FixPlan): Promise<void> {
  const names = new Set(plan.statements.flatMap(({ text }) => [...namesIn(text)]));
  const extra = new Set(
    plan.differences.filter(({ change }) => change !== 'missing').map(({ kind, name }) => `${kind} ${name}`),
  );
  const found = (await session.query<Shadow>(shadowsOf(schema))).find((shadow) => {
    if (shadow.kind === 'operator') return !shadow.isTenants || isExtra(shadow, extra);
    return names.has(shadow.name) && (!shadow.isTenants || isExtra(shadow, extra));
  });
  if (found === undefined) return;
  const where = found.isTenants ? `schema ${JSON.stringify(schema)}` : 'schema "public"';
  throw new TenantError({
    message: `${found.kind} ${found.signature} of ${where} has the name of one of postgresql's own, and the fix could call it`,
    code: 'shadowed',
    hint: `it belongs to ${found.owner}, which has fewer rights than the login role: look at it, and drop or rename it by hand`,
  });
}

const routines = ['function', 'procedure', 'aggregate'];
const types = ['enum', 'domain', 'range type', 'composite type', 'table', 'view', 'materialized view'];

/** Not as the reference has it, whatever kind of routine or type it is; operators are told by their names alone. */
function isExtra({ kind, signature }: Shadow, differing: ReadonlySet<string>): boolean {
  if (kind === 'operator') return [...differing].some((each) => each.startsWith(`operator ${signature}`));
  return (kind === 'type' ? types : routines).some((each) => differing.has(`${each} ${signature}`));
}

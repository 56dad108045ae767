import { definitionLines, describeDifference } from '../../drift/describe-difference.ts';
import { fillIn } from '../../drift/fix/fill-in.ts';
import type { Unsupported } from '../../drift/fix/fix-scope.ts';
import { type FixPlan, isLosing, scriptOf } from '../../drift/fix/plan-fix.ts';
import { printingPath } from '../../drift/own-names.ts';
import { ownNames } from '../../drift/scan-batch.ts';
import { TenantError } from '../../errors.ts';
import { type Tenant, tenantSchema } from '../../fleet/tenant.ts';
import { listNames, plural } from '../../words.ts';
import type { FixOptions } from './fix-options.ts';
import type { GroupFix } from './plan-fixes.ts';
import { describeFixHazard } from './review-fix.ts';

/** A plan for people: for each group its SQL, what of it can hurt, and what it leaves as it is. */
export function describeFixes(fixes: readonly GroupFix[], { apply }: Pick<FixOptions, 'apply'>): string[] {
  if (fixes.length === 0) return ['there is nothing to fix'];
  const lines = fixes.flatMap((each) => ['', headOf(each), ...bodyOf(each)]);
  if (apply || fixes.every(({ plan }) => plan.statements.length === 0)) return lines;
  return [...lines, '', 'run it with --apply: each tenant in one transaction, compared again before it is committed'];
}

function headOf({ group, plan }: GroupFix): string {
  const names = listNames(group.members.map(({ tenant }) => tenant.id));
  const left = plan.unsupported.length === 0 ? '' : `, ${plan.unsupported.length} cannot be fixed`;
  const count = plural(plan.statements.length, 'statement');
  return `${plural(group.members.length, 'tenant')} (${names}): ${count}${left}`;
}

function bodyOf({ plan, review }: GroupFix): readonly string[] {
  const script = plan.statements.length === 0 ? [] : scriptOf(plan).trimEnd().split('\n');
  const losses = plan.statements.flatMap(({ loses }) => (loses === null ? [] : [`! data are lost: ${loses}`]));
  const hazards = review.hazards.map(describeFixHazard);
  return [...script, ...losses, ...hazards, ...plan.unsupported.flatMap(describeUnsupported)].map(
    (line) => `  ${line}`,
  );
}

function describeUnsupported({ difference, why }: Unsupported): readonly string[] {
  const lines = definitionLines({ difference, within: [] });
  return [`not fixed: ${describeDifference(difference)} (${why})`, ...lines.map((line) => `  ${line}`)];
}

/** For programs. */
export function fixExtra(fixes: readonly GroupFix[], against: string): Readonly<Record<string, unknown>> {
  return {
    against,
    groups: fixes.map(({ group, plan, review }) => ({
      tenants: group.members.map(({ tenant }) => tenant.id),
      losesData: isLosing(plan),
      statements: plan.statements.map(({ text, loses }) => ({ sql: text, loses })),
      hazards: review.hazards.map(({ worst, ...hazard }) => {
        return worst === null ? hazard : { ...hazard, rows: worst.rows, worstTenant: worst.tenant.id };
      }),
      notFixed: plan.unsupported.map(({ difference, why, needsDrop }) => ({
        kind: difference.kind,
        name: difference.name,
        change: difference.change,
        class: difference.class,
        why,
        needsDrop,
        reference: difference.reference?.attributes ?? null,
        actual: difference.actual?.attributes ?? null,
      })),
    })),
  };
}

/** All groups in one text, a part for each tenant with its own names in it: what it is for stands above it. */
export function fixScript(fixes: readonly GroupFix[], against: string): string {
  const parts = fixes.flatMap(({ group, plan }) => {
    const ids = group.members.map(({ tenant }) => tenant.id);
    const head = [
      `-- ${plural(ids.length, 'tenant')}, held to ${against}: ${oneLine(ids.join(', '))}`,
      ...plan.unsupported.map(
        ({ difference, why }) => `-- not fixed: ${oneLine(describeDifference(difference))} (${oneLine(why)})`,
      ),
    ];
    const texts = plan.statements.length === 0 ? [] : group.members.map(({ tenant }) => tenantScript(tenant, plan));
    return [`${head.join('\n')}\n`, ...texts];
  });
  return parts.length === 0 ? '-- no tenant differs\n' : parts.join('\n');
}

/** It ends with the transaction, so that no setting of one tenant counts for the next. */
function tenantScript(tenant: Tenant, { statements }: FixPlan): string {
  const { id, server, database } = tenant;
  const head = `-- ${oneLine(`tenant ${id}: database ${database} of server ${server}`)}\n`;
  try {
    const texts = statements.map((each) => `${fillIn(each, ownNames(tenant))};\n`);
    return [
      ...[head, 'BEGIN;\n', `SET LOCAL search_path = ${printingPath(tenantSchema(tenant))};\n`],
      ...['SET LOCAL standard_conforming_strings = on;\n', 'SET LOCAL check_function_bodies = off;\n'],
      ...[...texts, 'COMMIT;\n'],
    ].join('');
  } catch (error) {
    if (!(error instanceof TenantError)) throw error;
    return `${head}-- not written: ${oneLine(error.message)}\n`;
  }
}

/** A name with a line end in it must not begin a line of its own. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ');
}

import type { Context } from '../../context.ts';
import type { TenantShape } from '../../drift/fact.ts';
import type { ScannedTenant } from '../../drift/group.ts';
import { isHibernated, type Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { listNames, plural } from '../../words.ts';
import type { Fleet } from '../open-fleet.ts';
import type { Against } from './open-reference.ts';
import type { scanFleet } from './scan-fleet.ts';

/** What a scan says of the tenants in question, and of those that have a say in what they should be. */
export interface Scan {
  /** Of the tenants in question, in their order. */
  readonly outcomes: readonly Outcome<TenantShape>[];
  readonly scanned: readonly ScannedTenant[];
  /** `scanned`, and for a majority all others of the fleet that could be read. */
  readonly voters: readonly ScannedTenant[];
  /** Who was read beside those in question, a line each. */
  readonly notes: readonly string[];
}

/**
 * Scans tenants. What most look like is a matter of the whole fleet, whoever is selected: two that drifted alike are not
 * the norm because a retry names just them. So for a majority the others are read too, and nothing is reported of them.
 */
export async function scanVoters(
  context: Context,
  fleet: Fleet,
  tenants: readonly Tenant[],
  { against, scan }: { readonly against: Against; readonly scan: typeof scanFleet },
): Promise<Scan> {
  if (against.kind !== 'majority') {
    const outcomes = await scan(context, fleet, tenants);
    const scanned = shapesOf(outcomes);
    return { outcomes, scanned, voters: scanned, notes: [] };
  }
  const others = await fleet.findOthers();
  const all = await scan(context, others, [...tenants, ...others.tenants]);
  const asked = new Set(tenants);
  const outcomes = all.filter(({ tenant }) => asked.has(tenant));
  const voters = shapesOf(all);
  const beside = all.filter(({ tenant }) => !asked.has(tenant));
  return { outcomes, scanned: shapesOf(outcomes), voters, notes: describeOthers(others, beside, voters.length) };
}

function shapesOf(outcomes: readonly Outcome<TenantShape>[]): readonly ScannedTenant[] {
  return outcomes.flatMap((outcome) =>
    outcome.status === 'done' ? [{ tenant: outcome.tenant, shape: outcome.value }] : [],
  );
}

function describeOthers(
  { rejected, sources }: Fleet,
  beside: readonly Outcome<TenantShape>[],
  voters: number,
): readonly string[] {
  const read = beside.filter(({ status }) => status === 'done').length;
  const unread = [...rejected, ...beside].filter((each) => each.status !== 'done' && !isHibernated(each));
  const are = (count: number) => (count === 1 ? 'is' : 'are');
  const were = read === 1 ? 'was' : 'were';
  const places = sources.flatMap(({ server, database, hibernated }) => {
    if (hibernated === true) return [];
    return [database === null ? `server ${server}` : `database ${database} of server ${server}`];
  });
  return [
    ...(read === 0
      ? []
      : [`the majority is that of ${voters} tenants: ${read} that ${are(read)} not selected ${were} read as well`]),
    ...(unread.length === 0
      ? []
      : [
          `${plural(unread.length, 'tenant')} that ${are(unread.length)} not selected could not be read, without a say ` +
            `in the majority: ${listNames(unread.map(({ tenant }) => tenant.id))}`,
        ]),
    ...new Set(places.map((place) => `${place} cannot be read: whoever lives there has no say in the majority`)),
  ];
}

import { parseAgainst } from '../../../src/commands/drift/drift-options.ts';
import { makeReference } from '../../../src/commands/drift/open-reference.ts';
import { readTenantFacts, scanFleet } from '../../../src/commands/drift/scan-fleet.ts';
import { compareFacts } from '../../../src/drift/compare.ts';
import type { TestFleet } from '../../support/fleet.ts';
import { inFleet, makeContext } from '../../support/in-fleet.ts';

/** How each tenant compares with what it is held to: `equal`, what differs, or `none:` and why. */
export interface HeldTo {
  readonly tenants: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
  /** How many times migrations were built. */
  readonly builds: number;
  readonly notices: readonly string[];
}

/** Compares a whole fleet with a reference, as `tenantctl drift` does, and says it in short. */
export function holdTo(fleet: TestFleet, against: string): Promise<HeldTo> {
  const test = makeContext(fleet.folder, { PATH: process.env.PATH });
  const { context } = test;
  return inFleet(test, async (opened) => {
    const outcomes = await scanFleet(context, opened, opened.tenants);
    const scanned = outcomes.map(({ tenant, ...outcome }) => {
      if (outcome.status !== 'done') throw new Error(`${tenant.id} was not scanned: ${JSON.stringify(outcome)}`);
      return { tenant, shape: outcome.value };
    });
    const reference = await makeReference(context, opened, {
      against: parseAgainst(against),
      scanned,
      voters: scanned,
    });
    const tenants: Record<string, string> = {};
    for (const each of scanned) {
      const held = reference.factsFor(each);
      if ('why' in held) {
        tenants[each.tenant.id] = `none: ${held.why}`;
        continue;
      }
      const differences = compareFacts(await held.facts(), await readTenantFacts(context, opened, each.tenant));
      const told = differences.map(({ change, kind, name }) => `${change} ${kind} ${name}`);
      tenants[each.tenant.id] = told.length === 0 ? 'equal' : told.join(', ');
    }
    const { notes } = reference;
    const isBuild = ({ type, ...event }: (typeof test.events)[number]) => {
      return type === 'phase' && 'name' in event && event.name === 'building the migrations';
    };
    return { tenants, notes, builds: test.events.filter(isBuild).length, notices: test.notices() };
  });
}

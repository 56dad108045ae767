import type { Context } from '../../context.ts';
import { classesOf, driftClasses } from '../../drift/compare.ts';
import { foldDifferences } from '../../drift/fold-differences.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { CommandView, Result } from '../../output/result.ts';
import type { Command } from '../command.ts';
import { limitFlags, selectionFlags } from '../flags.ts';
import { type Fleet, mergeOutcomes, withFleet } from '../open-fleet.ts';
import { comparisonFlags, type DriftOptions, failOnFlag, readDriftOptions } from './drift-options.ts';
import { describeDrift } from './drift-text.ts';
import { type DriftValue, driftExtra, driftOutcomes } from './drift-value.ts';
import { type DriftGroup, findDrift } from './find-drift.ts';
import { oweToSleeping } from './owed-drift.ts';

/** In one line of a table or a test report; all of them are in the groups. */
const shownInRow = 5;

const view: CommandView<DriftValue> = {
  columns: ['tenant', 'group', 'drift', 'differences'],
  row: (outcome, { verbose, quiet }) => {
    // The groups say it better than a line for each of their tenants.
    if (outcome.status !== 'done' || !(verbose || quiet === true)) return null;
    const { group, why, classes, differences } = outcome.value;
    if (why !== null) return [outcome.tenant.id, '-', '-', `not compared: ${why}`];
    const present = driftClasses.filter((each) => classes[each] > 0);
    const texts = foldDifferences(differences).map(({ difference }) => difference.text);
    const more = texts.length - shownInRow;
    const shown = [...texts.slice(0, shownInRow), ...(more > 0 ? [`… and ${more} more`] : [])];
    return [outcome.tenant.id, String(group), present.join(', ') || '-', shown.join('; ') || '-'];
  },
};

/** `tenantctl drift`: which tenants differ, in how many ways, and from what. */
export const drift: Command<DriftOptions, DriftValue> = {
  name: 'drift find',
  summary: 'which tenants differ from what they should be, and in what',
  examples: [
    ['tenantctl drift --all', 'groups of equal tenants, each against the majority of its version'],
    ['tenantctl drift --all --against migrations', 'against what the migrations folder builds'],
    ['tenantctl drift -t acme --against tenant:globex --verbose', 'one against another, with every line'],
    ['tenantctl drift --all --fail-on broken,security -o table -o junit=drift.xml', 'for CI'],
  ],
  flags: [...selectionFlags, ...comparisonFlags, failOnFlag, ...limitFlags],
  view,
  options: readDriftOptions,
  run: (context, options) =>
    withFleet(context, { ...options, mode: 'read' }, (fleet) => run(context, oweToSleeping(context, fleet), options)),
  // It changes nothing: whoever wants an answer for more runs it again.
  canRetry: false,
};

async function run(context: Context, fleet: Fleet, options: DriftOptions): Promise<Result<DriftValue>> {
  const { environment } = fleet.inventory;
  const found = await findDrift(context, fleet, fleet.tenants, options);
  const findings = new Set(found.groups.filter((group) => isFinding(group, options)).map(({ number }) => number));
  const compared = driftOutcomes(found).map((outcome): Outcome<DriftValue> => {
    return outcome.status === 'done' ? { ...outcome, finding: findings.has(outcome.value.group ?? 0) } : outcome;
  });
  for (const outcome of [...fleet.rejected, ...compared]) context.emit({ type: 'settled', outcome });
  return {
    outcomes: mergeOutcomes<DriftValue>(fleet.selected, fleet.rejected, compared),
    run: null,
    environment,
    sources: fleet.sources,
    text: describeDrift(found, { environment, verbose: options.verbose }),
    extra: driftExtra(found),
  };
}

function isFinding({ differences }: DriftGroup, { failOn }: DriftOptions): boolean {
  return foldDifferences(differences).some(({ difference }) =>
    [...classesOf(difference)].some((each) => failOn.has(each)),
  );
}

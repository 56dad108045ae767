import type { Outcome } from '../../fleet/outcome.ts';
import type { ChangeResult } from '../../migrations/change-tenant.ts';
import type { Result } from '../../output/result.ts';
import { type Fleet, mergeOutcomes } from '../open-fleet.ts';
import { describeShared } from './migration-view.ts';
import { describeJobs } from './plan-text.ts';
import { sharedEntries } from './survey-fleet.ts';
import { heldBackBy, holdBack, type UpJobs } from './up-jobs.ts';

/**
 * What `--dry-run` and `migrate plan` answer, once the engines are prepared, which refuse what must not run: nothing is
 * written, and the exit code is that of a run that went well.
 */
export function describePlan(fleet: Fleet, { tenants, shared }: UpJobs): Result<ChangeResult> {
  const sharedOutcomes = shared.flatMap(({ settled }) => settled);
  const isHeldBack = heldBackBy(sharedOutcomes);
  const planned = [...tenants.work].map(([tenant, { plan, survey }]): Outcome<ChangeResult> => {
    const pending = plan.migrations.map(({ name }) => name);
    return { tenant, status: 'done', durationMs: 0, value: { from: survey.standing.version, to: plan.to, pending } };
  });
  const outcomes = [...tenants.settled, ...planned].map((outcome) =>
    isHeldBack(outcome.tenant) ? holdBack(outcome.tenant) : outcome,
  );
  const troubled = sharedOutcomes.filter(({ status }) => status !== 'done');
  return {
    outcomes: mergeOutcomes<ChangeResult>(fleet.selected, fleet.rejected, outcomes),
    run: null,
    environment: fleet.inventory.environment,
    sources: fleet.sources,
    text: [...describeJobs(fleet.inventory.environment, tenants, shared), ...troubled.map(describeShared)],
    extra: {
      dryRun: true,
      ...sharedEntries(
        sharedOutcomes.map(({ tenant }) => tenant),
        sharedOutcomes,
      ),
    },
  };
}

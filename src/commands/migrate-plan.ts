import type { ChangeResult } from '../migrations/change-tenant.ts';
import type { Command } from './command.ts';
import { limitFlags, selectionFlags } from './flags.ts';
import { describePlan, planUpJobs } from './migrate-up.ts';
import { type MigrationOptions, readMigrationOptions, upTargetFlags } from './migration-options.ts';
import { changeView } from './migration-view.ts';
import { withMigrations } from './survey-fleet.ts';

/** `tenantctl migrate plan`: what `migrate up` would do. */
export const migratePlan: Command<MigrationOptions, ChangeResult> = {
  name: 'migrate plan',
  summary: 'show what would run on whom, and change nothing',
  examples: [
    ['tenantctl migrate plan --all', 'group by group, with the files that would run'],
    ['tenantctl migrate plan --all --to 0142 --json', 'the same for a program, tenant by tenant'],
  ],
  flags: [...selectionFlags, ...upTargetFlags, ...limitFlags],
  view: { ...changeView, row: (outcome, options) => (options.verbose ? changeView.row(outcome, options) : null) },
  options: readMigrationOptions,
  run: (context, options) => {
    return withMigrations(context, { ...options, mode: 'read', writesNothing: true }, async (fleet, folder) => {
      const { tenants, shared } = await planUpJobs(context, fleet, folder, options);
      return describePlan(fleet, tenants, shared, options.fake);
    });
  },
};

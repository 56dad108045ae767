import { type Failure, RefusedError, TenantError } from '../errors.ts';
import { listNames, plural } from '../words.ts';
import type { ChangePlan } from './change-tenant.ts';
import type { Migration, MigrationFolder } from './folder.ts';
import { type AppliedMigration, fakedRun } from './history.ts';
import type { Inspector } from './inspection.ts';
import { planBackOut, planDown, planUp, type Standing, type StepBack, type Target } from './plan.ts';

/** What is to be done with tenants that stand so, or why nothing can be. */
export type Decision = { readonly plan: ChangePlan } | { readonly failure: Failure };

/** Decides once for each standing; tenants with equal histories share the decision. */
export function decideUp(standing: Standing, folder: MigrationFolder, target: Target, checkOrder: boolean): Decision {
  const migrations = planUp(standing, folder, target);
  const runs = new Set(migrations);
  const late = standing.outOfOrder.find((migration) => runs.has(migration));
  if (checkOrder && late !== undefined) {
    return {
      failure: {
        message: `${late.name} was not applied, but ${standing.version}, which comes after it, was`,
        code: 'out-of-order',
        file: late.displayPath,
        hint: 'two branches met: rename the file to come last, or run it all the same with --no-check-order',
      },
    };
  }
  if (checkOrder && migrations.length > 0 && standing.ahead.length > 0) {
    return {
      failure: {
        message: `${standing.ahead[0]} was applied and is not in the folder, which has ${migrations[0]?.name} pending`,
        code: 'diverged',
        hint: 'migrate from the branch that has both, or go on all the same with --no-check-order',
      },
    };
  }
  const last = migrations.at(-1);
  // One that comes late does not take the tenant back.
  const to = last === undefined || standing.outOfOrder.includes(last) ? standing.version : last.name;
  return { plan: { from: standing.version, to, migrations } };
}

/** With `fake` only the history goes back, so nothing needs to say how. */
export function decideDown(standing: Standing, folder: MigrationFolder, target: Target, fake: boolean): Decision {
  return decideSteps(standing, planDown(standing, folder, target), fake);
}

/** Takes back what one run applied, as the history's rows tell. */
export function decideRunBack(standing: Standing, folder: MigrationFolder, run: string, fake: boolean): Decision {
  const faked = standing.applied.find((applied) => applied.run === fakedRun(run));
  if (faked !== undefined && !fake) {
    return {
      failure: {
        message: `the run only wrote down that ${faked.name} was applied, it did not run it`,
        code: 'faked',
        hint: 'take back what it wrote, and nothing else, with --fake',
      },
    };
  }
  const isOfRun = (applied: AppliedMigration) => applied.run === run || applied.run === fakedRun(run);
  return decideBackOut(standing, folder, isOfRun, fake);
}

/** Takes back exactly the migrations that are meant, which must be the newest of the tenant. */
export function decideBackOut(
  standing: Standing,
  folder: MigrationFolder,
  isMeant: (applied: AppliedMigration) => boolean,
  fake: boolean,
): Decision {
  const { steps, cameAfter } = planBackOut(standing, folder, isMeant);
  const newest = steps[0]?.name;
  if (cameAfter.length === 0 || newest === undefined) return decideSteps(standing, steps, fake);
  const isMixed = standing.applied.at(-1)?.name === newest;
  return {
    failure: {
      message: `${listNames(cameAfter)} ran after what is to be taken back`,
      code: 'not-newest',
      hint: isMixed
        ? 'the two are mixed on this tenant: take them back one by one with `tenantctl migrate down --count 1`'
        : `look at what came after; \`tenantctl migrate down --to ${newest}\` takes that back`,
    },
  };
}

function decideSteps(standing: Standing, steps: readonly StepBack[], fake: boolean): Decision {
  const gone = steps.find(({ migration }) => migration === null);
  if (gone !== undefined) {
    return {
      failure: {
        message: `${gone.name} was applied and is not in the folder, so nothing says how to take it back`,
        code: 'missing-migration',
        hint: 'run it from the branch that has the file',
      },
    };
  }
  const migrations = steps.flatMap(({ migration }) => (migration === null ? [] : [migration]));
  const stuck = fake
    ? undefined
    : migrations.find((migration) => migration.kind === 'sql' && migration.sql.down === null);
  if (stuck !== undefined) {
    return {
      failure: {
        message: `${stuck.name} has no down section`,
        code: 'no-down',
        file: stuck.displayPath,
        hint: 'write what takes it back below a line `-- Down Migration`, or restore a backup',
      },
    };
  }
  const left = standing.applied.slice(0, standing.applied.length - steps.length);
  return { plan: { from: standing.applied.at(-1)?.name ?? null, to: left.at(-1)?.name ?? null, migrations } };
}

/**
 * What is left of a plan when the history under the lock is another than the one it was made for. Two operators who
 * both take back one migration take back one: only what `mayRun` holds is ever run, which was planned, looked through
 * and consented to.
 */
export function keepToPlan(
  planned: ChangePlan,
  anew: ChangePlan,
  applied: readonly AppliedMigration[],
  direction: 'up' | 'down',
  mayRun: ReadonlySet<Migration>,
): ChangePlan {
  const names = new Set(applied.map(({ name }) => name));
  const left = planned.migrations.filter(({ name }) => names.has(name) === (direction === 'down'));
  if (left.length === 0) return { from: anew.from, to: anew.from, migrations: [] };
  const unplanned = anew.migrations.find((migration) => !mayRun.has(migration));
  if (unplanned === undefined) return anew;
  throw new TenantError({
    message: `somebody else changed the tenant meanwhile: ${unplanned.name} would run, which was not planned`,
    code: 'changed-meanwhile',
    hint: 'look at the plan again with --dry-run, then run the same command again',
  });
}

/** An applied file that was changed since says that the folder is not what the tenants were built from. */
export function refuseEdited(standings: ReadonlyMap<Standing, number>): void {
  const tenants = new Map<Migration, number>();
  for (const [{ edited }, count] of standings) {
    for (const migration of edited) tenants.set(migration, (tenants.get(migration) ?? 0) + count);
  }
  if (tenants.size === 0) return;
  const details = [...tenants].map(
    ([{ displayPath }, count]) => `${displayPath}: applied to ${plural(count, 'tenant')} as it was`,
  );
  throw new RefusedError('migrations were edited after they had been applied', {
    details,
    hint: 'put the old text back and write a new migration; or, if only the text differs, `tenantctl migrate repair`',
  });
}

/** Whom migrations are for: tenants that share a database, tenants with one of their own, or what databases share. */
export type Audience = 'schemas' | 'databases' | 'shared';

const harmless = { schemas: [], databases: ['database'], shared: ['database', 'server'] } as const;

/** Statements that must not run as they stand stop the run before the first tenant meets them. */
export function refuseObjections(
  migrations: Iterable<Migration>,
  direction: 'up' | 'down',
  inspector: Inspector,
  audience: Audience,
): void {
  const objections = [...migrations]
    .flatMap((migration) => inspector.inspect(migration, direction).objections)
    .filter(({ scope }) => !harmless[audience].some((fine) => fine === scope));
  const [first] = objections;
  if (first === undefined) return;
  throw new RefusedError('the migrations cannot run as they stand', {
    details: objections.map(({ at, message }) => `${at}: ${message}`),
    hint: first.hint,
  });
}

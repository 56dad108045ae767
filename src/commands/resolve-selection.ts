import type { Context } from '../context.ts';
import { UsageError } from '../errors.ts';
import { isRunId } from '../fleet/ledger.ts';
import { findRun, type RunRecord, readRun, wasHibernated } from '../fleet/run-records.ts';
import { idsFromText, type Selection } from '../fleet/selection.ts';
import type { FleetOptions } from './fleet-options.ts';

interface RunSelection extends Pick<FleetOptions, 'selection' | 'fromRun'> {
  readonly ofRun?: string | null;
}

/** The selection with the ids that `--tenant -` and earlier runs stand for. */
export async function resolveSelection(context: Context, state: string, options: RunSelection): Promise<Selection> {
  const { selection, fromRun, ofRun = null } = options;
  const tenants = selection.tenants.includes('-')
    ? [...selection.tenants.filter((pattern) => pattern !== '-'), ...idsFromText(await context.readStdin())]
    : selection.tenants;
  const earlier = fromRun === null ? null : tenantsWithOutcome(await readRun(state, fromRun.run), fromRun.outcomes);
  const moved = ofRun === null ? null : await tenantsOfRun(state, ofRun, options);
  const both = earlier === null || moved === null ? (earlier ?? moved) : earlier.filter((id) => moved.includes(id));
  return { ...selection, tenants, fromRun: both };
}

/** A tenant without a line was in the middle, or not begun, when the run was killed. */
function tenantsWithOutcome({ tenants, entries }: RunRecord, outcomes: readonly string[]): readonly string[] {
  return tenants.filter((id) => {
    const entry = entries.get(id);
    // One that slept was not to be begun.
    return outcomes.includes(entry?.status ?? 'interrupted') && !wasHibernated(entry);
  });
}

/**
 * The tenants that a run may have moved; null: those that the flags select, all of them. What it did is read from
 * their data, so the record is only a way to name them: `--all` looks at those, too, that it does not know.
 */
async function tenantsOfRun(state: string, run: string, options: RunSelection): Promise<readonly string[] | null> {
  const isSelected = options.fromRun !== null || hasSelection(options.selection);
  const isRecorded = (await findRun(state, run)) !== null;
  if (!isRecorded && !isSelected) {
    throw new UsageError(`no run ${run} is recorded here, so nothing says which tenants it moved`, {
      hint: 'see `tenantctl runs list`; or select its tenants, --all for instance: what it did is read from their data',
    });
  }
  if (!isRecorded) return null;
  const record = isSelected ? await readRun(state, run).catch(() => null) : await readRun(state, run);
  if (record === null) return null;
  if (record.manifest.command !== 'migrate') {
    throw new UsageError(`run ${record.manifest.run} was a ${record.manifest.command}, which applies no migrations`, {
      hint: 'only what `tenantctl migrate` did can be taken back',
    });
  }
  return options.selection.all ? null : record.tenants;
}

/** The whole id of a run: as the data has it. */
export async function wholeRunId(state: string, run: string): Promise<string> {
  const found = await findRun(state, run);
  if (found !== null || isRunId(run)) return found ?? run;
  throw new UsageError(`no run ${run} is recorded here`, {
    hint: 'give its whole id, like 2026-11-22T101500Z-k3f9: reports show it, and so does the column run of pgmigrations',
  });
}

function hasSelection({ all, tenants, labels, servers, databases }: Selection): boolean {
  return all || [tenants, labels, servers, databases].some((flags) => flags.length > 0);
}

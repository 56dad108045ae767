import type { Context } from '../../context.ts';
import { type RunRecord, readRun } from '../../fleet/run-records.ts';
import { shellQuote } from '../../words.ts';

/** Flags of a selection with the words of a command line, in the order of `--help`. */
const selecting = ['tenant', 'label', 'server', 'database', 'except'] as const;

/**
 * A resumed run takes the tenants of the first one and looks for no others, so that those who were born since would be
 * missed without a word: says who may be missing, and names the command that looks.
 */
export async function tellUnswept(
  context: Context,
  state: string,
  record: RunRecord,
  config: string | null,
): Promise<void> {
  if (record.manifest.command !== 'migrate') return;
  const first = await firstRun(state, record);
  const words = first === null ? null : selectionWords(first.manifest.flags ?? {});
  if (first === null || words === null) return;
  const command = ['tenantctl', 'migrate', ...(config === null ? [] : ['--config', config]), ...words];
  context.emit({
    type: 'notice',
    level: 'info',
    message: `nobody looked for tenants that were born since run ${first.manifest.run} began`,
    hint: `migrate those too: ${command.map(shellQuote).join(' ')}`,
  });
}

/** The run at the beginning of a chain of resumed ones; null: its record is gone. */
async function firstRun(state: string, record: RunRecord): Promise<RunRecord | null> {
  const seen = new Set<string>();
  for (let each = record; ; ) {
    const { run, flags = {} } = each.manifest;
    if (typeof flags.fromRun !== 'string') return each;
    const before = seen.has(run) ? null : await readRun(state, flags.fromRun).catch(() => null);
    if (before === null) return null;
    seen.add(run);
    each = before;
  }
}

/** Null: nobody was to be looked for, or ids were read that are not recorded. */
function selectionWords(flags: NonNullable<RunRecord['manifest']['flags']>): readonly string[] | null {
  const { all, shard, sweep, plan } = flags;
  const listed = selecting.flatMap((key) => {
    const value = flags[key];
    return Array.isArray(value) && value.length > 0 ? [[`--${key}`, ...value.map(String)]] : [];
  });
  const isStandardInput = Array.isArray(flags.tenant) && flags.tenant.includes('-');
  if (sweep === false || plan !== undefined || isStandardInput) return null;
  const words = [
    ...(all === true ? ['--all'] : []),
    ...listed.flat(),
    ...(typeof shard === 'string' ? ['--shard', shard] : []),
  ];
  return words.length === 0 ? null : words;
}

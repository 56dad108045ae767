import { UsageError } from '../errors.ts';
import type { Limits } from '../fleet/inventory/types.ts';
import { parseLabelSelector } from '../fleet/labels.ts';
import { noSelection, parseShard, type Selection } from '../fleet/selection.ts';
import type { RawOptions } from './command.ts';
import { readCount, readDuration, readSwitch, readText, readTexts } from './read-options.ts';

const ledgerOutcomes = ['done', 'failed', 'interrupted', 'skipped'] as const;
export type LedgerOutcome = (typeof ledgerOutcomes)[number];

/** What the flags of every command with tenants say. */
export interface FleetOptions {
  readonly config: string | null;
  /** Without the ids that `--tenant -` and `--from-run` stand for. */
  readonly selection: Selection;
  readonly fromRun: { readonly run: string; readonly outcomes: readonly LedgerOutcome[] } | null;
  readonly limits: Partial<Limits>;
  /** Milliseconds. */
  readonly timeoutMs: number | null;
  readonly skipUnreachable: boolean;
  /** The flags themselves, for the record of the run; without those that say how to print. */
  readonly typed?: RawOptions;
}

const printing = new Set(['config', 'output', 'json', 'quiet', 'verbose', 'color', 'debug']);

export function readFleetOptions(raw: RawOptions): FleetOptions {
  const run = readText(raw, 'fromRun');
  const shard = readText(raw, 'shard');
  return {
    config: readText(raw, 'config'),
    selection: {
      ...noSelection,
      all: readSwitch(raw, 'all'),
      tenants: readTexts(raw, 'tenant'),
      labels: readTexts(raw, 'label').flatMap(parseLabelSelector),
      servers: readTexts(raw, 'server'),
      databases: readTexts(raw, 'database'),
      except: readTexts(raw, 'except'),
      shard: shard === null ? null : parseShard(shard),
      allowEmpty: readSwitch(raw, 'allowEmpty'),
    },
    fromRun: run === null ? noOutcomeAlone(raw) : { run, outcomes: readOutcomes(raw) },
    limits: withoutNulls({
      concurrency: readCount(raw, 'concurrency'),
      perServer: readCount(raw, 'perServer'),
      perDatabase: readCount(raw, 'perDatabase'),
    }),
    timeoutMs: readDuration(raw, 'timeout'),
    skipUnreachable: readSwitch(raw, 'skipUnreachable'),
    typed: Object.fromEntries(Object.entries(raw).filter(([key]) => !printing.has(key))),
  };
}

function noOutcomeAlone(raw: RawOptions): null {
  if (readText(raw, 'outcome') === null) return null;
  throw new UsageError('--outcome goes with --from-run', { hint: 'name the run: --from-run <run> --outcome failed' });
}

function readOutcomes(raw: RawOptions): readonly LedgerOutcome[] {
  const words = (readText(raw, 'outcome') ?? 'failed,interrupted,skipped').split(',').map((word) => word.trim());
  return words.map((word) => {
    const outcome = ledgerOutcomes.find((candidate) => candidate === word);
    if (outcome === undefined) {
      throw new UsageError(`--outcome does not know ${JSON.stringify(word)}`, { hint: ledgerOutcomes.join(', ') });
    }
    return outcome;
  });
}

function withoutNulls(limits: Record<keyof Limits, number | null>): Partial<Limits> {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== null));
}

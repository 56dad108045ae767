import { UsageError } from '../../errors.ts';
import { type ChangeSettings, readChangeSettings } from '../change-settings.ts';
import type { Flag, RawOptions } from '../command.ts';
import { type FleetOptions, readFleetOptions } from '../fleet-options.ts';
import { readSwitch, readText } from '../read-options.ts';
import { type ComparisonOptions, readComparisonOptions } from './drift-options.ts';

export interface FixOptions extends FleetOptions, ComparisonOptions, ChangeSettings {
  /** Run it; false: show it. */
  readonly apply: boolean;
  readonly yes: boolean;
  /** What loses data may be done too. */
  readonly allowDrop: boolean;
  /** Fix what can be fixed of tenants that have something that cannot. */
  readonly partial: boolean;
  /** Where the SQL is written to, as it was typed; null: nowhere. */
  readonly out: string | null;
}

function flag(flags: string, description: string): Flag {
  return { flags, description, fromEnvironment: false, group: 'What is done:' };
}

export const fixFlags: readonly Flag[] = [
  flag('--apply', 'run the SQL, each tenant in one transaction that is proved before it is committed'),
  flag('--allow-drop', 'also drop what holds data and the reference has not: tables, columns; and narrow types'),
  flag('--partial', 'with --apply: also tenants of which something cannot be fixed, and fix the rest'),
  flag('--out <file>', 'write the SQL to a file as well'),
];

export function readFixOptions(raw: RawOptions): FixOptions {
  const options: FixOptions = {
    ...readFleetOptions(raw),
    ...readComparisonOptions(raw),
    ...readChangeSettings(raw),
    apply: readSwitch(raw, 'apply'),
    yes: readSwitch(raw, 'yes'),
    allowDrop: readSwitch(raw, 'allowDrop'),
    partial: readSwitch(raw, 'partial'),
    out: readText(raw, 'out'),
  };
  const dryRun = readSwitch(raw, 'dryRun');
  if (options.apply && dryRun) {
    throw new UsageError('--apply and --dry-run exclude each other', { hint: 'without --apply nothing is run' });
  }
  for (const name of options.apply ? [] : (['yes', 'partial'] as const)) {
    if (options[name]) throw new UsageError(`--${name} goes with --apply`, { hint: 'without it nothing is run' });
  }
  return options;
}

import { UsageError } from '../../errors.ts';
import { formatDuration } from '../../fleet/duration.ts';
import type { KeepRules } from '../../fleet/inventory/backups.ts';
import type { Inventory } from '../../fleet/inventory/types.ts';
import type { Flag, RawOptions } from '../command.ts';
import { readCount, readDuration } from '../read-options.ts';

/** What is kept is what is not removed: never from the environment. */
function keeping(flags: string, description: string): Flag {
  return { flags, description, fromEnvironment: false, group: 'What is kept:' };
}

export const keepFlags: readonly Flag[] = [
  keeping('--keep-last <n>', 'the newest n of each tenant'),
  keeping('--keep-hourly <n>', 'the newest of each of the last n hours that have a backup'),
  keeping('--keep-daily <n>', 'the same for days'),
  keeping('--keep-weekly <n>', 'the same for weeks'),
  keeping('--keep-monthly <n>', 'the same for months'),
  keeping('--keep-yearly <n>', 'the same for years'),
  keeping('--keep-within <duration>', 'all that are at most so much older than the newest, like 2d'),
];

const counted = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;

/** The rules that flags give; each beats the same key of the inventory's `keep`. */
export function readKeepFlags(raw: RawOptions): Partial<KeepRules> {
  const counts = counted.map((rule) => {
    return [rule, readCount(raw, `keep${rule[0]?.toUpperCase()}${rule.slice(1)}`, 0)] as const;
  });
  const all = [...counts, ['withinMs', readDuration(raw, 'keepWithin')] as const];
  return Object.fromEntries(all.filter(([, value]) => value !== null));
}

export function keepRules(inventory: Inventory, flags: Partial<KeepRules>): KeepRules {
  const none = { last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, withinMs: 0 };
  const rules = { ...none, ...inventory.backups.keep, ...flags };
  if (Object.values(rules).some((value) => value > 0)) return rules;
  throw new UsageError('nothing says which backups to keep', {
    hint: 'give rules, like --keep-last 3 --keep-daily 7, or `backups: { keep: … }` in the inventory',
  });
}

/** `last 3, daily 7, within 2d`. */
export function describeRules(rules: KeepRules): string {
  const counts = counted.flatMap((rule) => (rules[rule] > 0 ? [`${rule} ${rules[rule]}`] : []));
  return [...counts, ...(rules.withinMs > 0 ? [`within ${formatDuration(rules.withinMs)}`] : [])].join(', ');
}

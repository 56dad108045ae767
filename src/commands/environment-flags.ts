import type { Context } from '../context.ts';
import type { Manifest } from '../fleet/ledger.ts';
import type { Flag, RawOptions } from './command.ts';
import { changeFlags, limitFlags, rolloutFlags } from './flags.ts';

/** Those of the flags with a value that a variable may give and a run records, by their names in camelCase. */
const fromVariables: ReadonlySet<string> = new Set(
  [...limitFlags, ...rolloutFlags, ...changeFlags].filter(({ fromEnvironment }) => fromEnvironment).map(keyOf),
);

function keyOf({ flags }: Flag): string {
  const name = /--([a-z-]+)/.exec(flags)?.[1] ?? '';
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function variableOf(key: string): string {
  return `TENANTCTL_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/**
 * What a record tells of the flags. A recipe may upload it, and a variable may be there because its value is a secret:
 * what was not typed is told by its name. Typed and equal to the variable is the same as not typed.
 */
export function separateFlags(
  flags: RawOptions,
  env: Context['env'],
): Required<Pick<Manifest, 'flags' | 'flagsFromEnvironment'>> {
  const isVariable = ([key, value]: [string, unknown]) => fromVariables.has(key) && value === env[variableOf(key)];
  const entries = Object.entries(flags);
  return {
    flags: Object.fromEntries(entries.filter((entry) => !isVariable(entry))),
    flagsFromEnvironment: entries.filter(isVariable).map(([key]) => key),
  };
}

/** Values that a recorded run had from variables, as they are now. A check that is gone must not go unsaid. */
export function readFlagsAgain(context: Context, { run, flagsFromEnvironment = [] }: Manifest): RawOptions {
  const read = flagsFromEnvironment.map((key) => [key, context.env[variableOf(key)] ?? ''] as const);
  for (const [key] of read.filter(([, value]) => value === '')) {
    context.emit({
      type: 'notice',
      level: 'warning',
      message: `run ${run} had ${variableOf(key)}, which is not set now: it goes on without`,
    });
  }
  return Object.fromEntries(read.filter(([, value]) => value !== ''));
}

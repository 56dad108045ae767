import type { DriftClass } from '../../drift/fact.ts';
import { UsageError } from '../../errors.ts';
import type { Flag, RawOptions } from '../command.ts';
import { type FleetOptions, readFleetOptions } from '../fleet-options.ts';
import { readSwitch, readText } from '../read-options.ts';
import type { Against } from './open-reference.ts';

/** What is compared with what, and what is let pass. */
export interface ComparisonOptions {
  readonly against: Against;
  /** A file of accepted differences, as it was typed; null: the inventory's. */
  readonly accepted: string | null;
}

export interface DriftOptions extends FleetOptions, ComparisonOptions {
  /** Drift of these classes makes a tenant a finding. */
  readonly failOn: ReadonlySet<DriftClass>;
  readonly verbose: boolean;
}

const comparing = (flags: string, description: string, fromEnvironment = true): Flag => {
  return { flags, description, fromEnvironment, group: 'What is compared:' };
};

export const comparisonFlags: readonly Flag[] = [
  comparing(
    '--against <reference>',
    'majority, migrations, tenant:<id>, file:<snapshot> or schema:<name> (default: majority)',
  ),
  comparing('--accepted <file>', 'differences that may pass (default: drift.accepted of the inventory)', false),
];

export const failOnFlag: Flag = comparing(
  '--fail-on <classes>',
  'classes of drift that make exit 1: broken, security, structural, cosmetic; or none (default: all but cosmetic)',
);

const classes: readonly DriftClass[] = ['broken', 'security', 'structural', 'cosmetic'];
const defaultFailOn = 'broken,security,structural';

export function readComparisonOptions(raw: RawOptions): ComparisonOptions {
  return { against: parseAgainst(readText(raw, 'against') ?? 'majority'), accepted: readText(raw, 'accepted') };
}

export function readDriftOptions(raw: RawOptions): DriftOptions {
  return {
    ...readFleetOptions(raw),
    ...readComparisonOptions(raw),
    failOn: parseFailOn(readText(raw, 'failOn') ?? defaultFailOn),
    verbose: readSwitch(raw, 'verbose'),
  };
}

/** Reads `majority`, `migrations`, `tenant:acme`, `file:expected.txt`, `schema:template`. */
export function parseAgainst(text: string): Against {
  if (text === 'majority' || text === 'migrations') return { kind: text };
  const match = /^(tenant|file|schema):(.+)$/s.exec(text);
  const [, kind, of] = match ?? [];
  if (of !== undefined && (kind === 'tenant' || kind === 'file' || kind === 'schema')) return { kind, of };
  throw new UsageError(`--against does not know ${JSON.stringify(text)}`, {
    hint: 'majority, migrations, tenant:<id>, file:<snapshot>, schema:<name>',
  });
}

/** Reads `broken,security`, or `none`. */
export function parseFailOn(text: string): ReadonlySet<DriftClass> {
  const words = text.split(',').map((word) => word.trim());
  if (words.length === 1 && words[0] === 'none') return new Set();
  const known = words.flatMap((word) => classes.find((each) => each === word) ?? []);
  if (known.length === words.length) return new Set(known);
  const unknown = words.find((word) => !classes.some((each) => each === word)) ?? '';
  throw new UsageError(`--fail-on does not know ${JSON.stringify(unknown)}`, {
    hint: `${classes.join(', ')} with commas between them, or none`,
  });
}

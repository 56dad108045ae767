import { classesOf, type Difference, driftClasses } from '../../drift/compare.ts';
import {
  countDifference,
  definitionLines,
  describeDifference,
  describeWithin,
} from '../../drift/describe-difference.ts';
import type { DriftClass, Unmodelled } from '../../drift/fact.ts';
import { type FoldedDifference, foldDifferences } from '../../drift/fold-differences.ts';
import { listNames, plural } from '../../words.ts';
import type { DriftGroup, FoundDrift, StaleEntry } from './find-drift.ts';

interface DriftTextOptions {
  readonly environment: string;
  /** All names, all lines. */
  readonly verbose: boolean;
}

/** Above these the rest is counted, and `--verbose` shows it. */
const shownGroups = 20;
const shownObjects = 10;
const shownDifferences = 25;
const shownLines = 20;

/** A tab would come out as `\t`. */
const tab = '    ';

/** The answer for people: how many shapes, who lacks what, then the groups, the largest first. */
export function describeDrift(found: FoundDrift, options: DriftTextOptions): readonly string[] {
  const { groups, reference, notes } = found;
  if (groups.length === 0) return [`environment ${options.environment}: no tenant was compared`, ...notes];
  const odd = groups.filter(isOdd);
  const shown = options.verbose ? groups : groups.slice(0, shownGroups);
  const more = groups.length - shown.length;
  return [
    `environment ${options.environment}: ${describeShapes(groups)}, against ${describeReference(reference.name)}`,
    ...notes,
    ...(odd.length > 1 ? objectLines(odd, options) : []),
    ...shown.flatMap((group) => groupLines(group, found, options)),
    ...(more > 0 ? ['', `… and ${plural(more, 'more group')}, listed with --verbose`] : []),
    ...endLines(found, options),
  ];
}

function isOdd({ differences }: DriftGroup): boolean {
  return differences.length > 0;
}

function describeShapes(groups: readonly DriftGroup[]): string {
  const tenants = groups.reduce((sum, { members }) => sum + members.length, 0);
  const versions = new Set(groups.map(({ version }) => version)).size;
  const majors = [...new Set(groups.map(({ major }) => major))].toSorted((a, b) => a - b);
  const shapes = new Set(groups.map(({ major, version, shape }) => JSON.stringify([major, version, shape]))).size;
  return [
    `${plural(tenants, 'tenant')} in ${plural(shapes, 'shape')}`,
    ...(versions > 1 ? [`at ${versions} versions`] : []),
    ...(majors.length > 1 ? [`on PostgreSQL ${listNames(majors.map(String), 10)}`] : []),
  ].join(' ');
}

function describeReference(name: string): string {
  if (name === 'majority') return 'the majority of each version';
  if (name === 'migrations') return 'what the migrations build';
  const [kind, ...rest] = name.split(':');
  return rest.length === 0 ? name : `${kind === 'file' ? 'the snapshot' : kind} ${rest.join(':')}`;
}

/** `5 lack index tasks_due_idx on tasks`: what is odd, whoever is odd in other things too. Commonest first. */
function objectLines(groups: readonly DriftGroup[], { verbose }: DriftTextOptions): readonly string[] {
  const counts = new Map<string, { readonly difference: Difference; tenants: number }>();
  for (const { differences, members } of groups) {
    for (const { difference } of foldDifferences(differences)) {
      const text = describeDifference(difference);
      const count = counts.get(text) ?? { difference, tenants: 0 };
      count.tenants += members.length;
      counts.set(text, count);
    }
  }
  const sorted = [...counts.values()].toSorted((a, b) => b.tenants - a.tenants);
  const shown = verbose ? sorted : sorted.slice(0, shownObjects);
  const more = sorted.length - shown.length;
  return [
    ...shown.map(({ difference, tenants }) => `  ${countDifference(difference, tenants)} (${difference.class})`),
    ...(more > 0 ? [`  … and ${plural(more, 'more difference')}`] : []),
  ];
}

function groupLines(group: DriftGroup, found: FoundDrift, options: DriftTextOptions): readonly string[] {
  const { members, version, differences, accepted } = group;
  const hasVersions = new Set(found.groups.map((each) => each.version)).size > 1;
  const ids = members.map(({ tenant }) => tenant.id);
  const names = options.verbose ? ids.join(', ') : listNames(ids);
  const at = hasVersions ? ` at ${version ?? 'no migration'}` : '';
  const head = `${plural(members.length, 'tenant')}${at}${verdict(group, found)}`;
  const folded = foldDifferences(differences);
  const shown = options.verbose ? folded : folded.slice(0, shownDifferences);
  const more = folded.length - shown.length;
  return [
    '',
    `${head}: ${names}`,
    ...shown.flatMap((each) => differenceLines(each, options)),
    ...(more > 0 ? [`  … and ${plural(more, 'more difference')}, shown with --verbose and in --json`] : []),
    ...accepted.map(({ difference, entry }) => {
      return `  accepted until ${entry.until}, ${describeDifference(difference)}: ${entry.reason}`;
    }),
  ];
}

function verdict({ members, differences, accepted }: DriftGroup, { reference }: FoundDrift): string {
  if (differences.length > 0) return `, ${describeClasses(differences)}`;
  if (accepted.length > 0) return ', only accepted differences';
  if (reference.name !== 'majority') return ' like the reference';
  return members.length === 1 ? ' as the reference' : ' alike, the reference';
}

/** The classes that a part of it belongs to, the worst first. */
export function describeClasses(differences: readonly Difference[]): string {
  const present = new Set<DriftClass>(
    foldDifferences(differences).flatMap(({ difference }) => [...classesOf(difference)]),
  );
  return driftClasses.filter((each) => present.has(each)).join(', ');
}

function differenceLines(folded: FoldedDifference, { verbose }: DriftTextOptions): readonly string[] {
  const { difference } = folded;
  const head = [describeDifference(difference), describeWithin(folded)].filter((part) => part !== '').join(' ');
  // What is only looks needs no definition unless somebody asks.
  const lines = difference.class === 'cosmetic' && !verbose ? [] : definitionLines(folded);
  const shown = verbose ? lines : lines.slice(0, shownLines);
  const more = lines.length - shown.length;
  return [
    `  ${head}${difference.class === 'cosmetic' ? ' (cosmetic)' : ''}`,
    ...shown.map((line) => `      ${line.replaceAll('\t', tab)}`),
    ...(more > 0 ? [`      … ${plural(more, 'more line')}, shown with --verbose and in --json`] : []),
  ];
}

function endLines(found: FoundDrift, options: DriftTextOptions): readonly string[] {
  const lines = [
    ...(found.groups.some(isOdd) ? ['-: as the reference has it, +: as these tenants have it'] : []),
    ...found.staleEntries.map(describeStale),
    ...templatedLine(found, options),
    ...unmodelledLine(found),
  ];
  return lines.length === 0 ? [] : ['', ...lines];
}

function describeStale({ entry, state, tenants }: StaleEntry): string {
  const what = `${entry.kind} ${entry.name}${entry.attribute === null ? '' : ` (${entry.attribute})`}`;
  if (state === 'unused') return `${entry.at}: nobody differs in ${what} any more: the entry can go`;
  const still = tenants.length === 0 ? 'nobody differs in it any more' : `counts again for ${listNames(tenants)}`;
  return `${entry.at}: ${what} was accepted until ${entry.until}, which is over: ${still}`;
}

/** Said, because what holds a tenant's own name in a text is equal only by a rule of ours. */
function templatedLine({ groups }: FoundDrift, { verbose }: DriftTextOptions): readonly string[] {
  const keys = [...new Set(groups.flatMap(({ templated }) => templated))].map((key) => key.replace('\0', ' '));
  if (keys.length === 0) return [];
  return [`compared with the tenants' own names put aside: ${listNames(keys, verbose ? keys.length : 3)}`];
}

function unmodelledLine({ groups }: FoundDrift): readonly string[] {
  const counts = new Map<string, { objects: number; tenants: number }>();
  for (const { shape } of groups.flatMap(({ members }) => members)) {
    for (const { kind, count } of shape.unmodelled) addTo(counts, { kind, count });
  }
  if (counts.size === 0) return [];
  const parts = [...counts].map(
    ([kind, { objects, tenants }]) => `${kind} (${objects} in ${plural(tenants, 'tenant')})`,
  );
  return [`not compared, for tenantctl has no model of it: ${listNames(parts, 10)}`];
}

function addTo(counts: Map<string, { objects: number; tenants: number }>, { kind, count }: Unmodelled): void {
  if (count === 0) return;
  const known = counts.get(kind) ?? { objects: 0, tenants: 0 };
  known.objects += count;
  known.tenants += 1;
  counts.set(kind, known);
}

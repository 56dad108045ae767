import type { Fact, FactSet, FactValue } from './fact.ts';
import { formatLine, formatName, formatScalar, formatWords } from './snapshot-values.ts';

/** Raised when the facts of one schema are other ones than before, or are written otherwise. */
export const snapshotFormat = 1;

/** The first line of a snapshot: what it is, and which facts may be compared with it. */
export function firstLine(major: number): string {
  return `facts ${snapshotFormat}, postgresql ${major}`;
}

/** The last line: a file that was cut off has none. */
export const lastLine = 'end';

/**
 * All facts as a text for people and git: one object a block, those of a table together, always in the same order.
 * `parseSnapshot` reads back exactly these facts.
 */
export function formatSnapshot({ major, facts, unmodelled, templated, literal, byChance = [] }: FactSet): string {
  const marks = new Map([
    ...templated.map((key) => [key, ' (templated)'] as const),
    ...byChance.map((key) => [key, ' (templated by chance)'] as const),
  ]);
  const blocks = [...facts].toSorted(([, a], [, b]) => compareFacts(a, b));
  const formatLiteral = (key: string) => {
    const fact = byChance.includes(key) ? literal?.get(key) : undefined;
    return fact === undefined ? [] : ['', ...formatFact(fact, ' (literally)')];
  };
  const counted = unmodelled.toSorted((a, b) => compareTexts(a.kind, b.kind));
  return [
    firstLine(major),
    '# What a tenant consists of, without its own names. Written by drift snapshot.',
    ...(counted.length === 0 ? [] : ['']),
    ...counted.map(({ kind, count }) => `not looked at: ${count} ${formatName(kind)}`),
    ...blocks.flatMap(([key, fact]) => ['', ...formatFact(fact, marks.get(key)), ...formatLiteral(key)]),
    '',
    `${lastLine}\n`,
  ].join('\n');
}

function formatFact({ kind, name, table, attributes }: Fact, mark = ''): readonly string[] {
  const of = table === null ? '' : ` of ${formatName(table)}`;
  const names = Object.keys(attributes).toSorted(compareTexts);
  return [
    `${formatWords(kind)}: ${formatName(name)}${of}${mark}`,
    ...names.flatMap((attribute) => formatAttribute(formatWords(attribute), attributes[attribute] ?? null)),
  ];
}

function formatAttribute(name: string, value: FactValue): readonly string[] {
  if (typeof value === 'string' && value.includes('\n')) {
    return [`  ${name}: |`, ...value.split('\n').map((line) => `    ${formatLine(line)}`)];
  }
  if (typeof value !== 'object' || value === null) return [`  ${name}: ${formatScalar(value)}`];
  if (value.length === 0) return [`  ${name}: []`];
  return [`  ${name}:`, ...value.map((item) => `    - ${formatScalar(item)}`)];
}

/** By relation, then kind and name. */
function compareFacts(a: Fact, b: Fact): number {
  return compareTexts(a.table ?? '', b.table ?? '') || compareTexts(a.kind, b.kind) || compareTexts(a.name, b.name);
}

/** By code units: the same on each machine. */
function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

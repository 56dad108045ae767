import { UsageError } from '../../errors.ts';
import { closest } from '../../fleet/did-you-mean.ts';
import type { Migration } from '../../migrations/folder.ts';
import { allowedWords, type HazardName, hazardNames, isHazardName } from '../../migrations/hazards.ts';
import { lineAndColumn } from '../../migrations/sql-file.ts';
import type { Flag, RawOptions } from '../command.ts';
import { readCount, readTexts } from '../read-options.ts';

/** What the operator accepts of a plan. */
export interface HazardPolicy {
  readonly allowed: ReadonlySet<HazardName>;
  /** From this many rows on, a table is not to be locked against readers. */
  readonly largeTableRows: number;
}

const defaultLargeTableRows = 100_000;

export const nothingAllowed: HazardPolicy = { allowed: new Set(), largeTableRows: defaultLargeTableRows };

function flag(flags: string, description: string): Flag {
  return { flags, description, fromEnvironment: false, group: 'What passes:' };
}

export const hazardFlags: readonly Flag[] = [
  flag('--allow <hazard...>', 'let these hazards pass (drop-column,rename or all)'),
  flag('--large-table <rows>', 'ACCESS EXCLUSIVE is a hazard on tables with more rows (default: 100000)'),
];

export function readHazardPolicy(raw: RawOptions): HazardPolicy {
  const words = readTexts(raw, 'allow').flatMap((text) => text.split(',').map((word) => word.trim()));
  return {
    allowed: toHazards(words, '--allow'),
    largeTableRows: readCount(raw, 'largeTable', 0) ?? defaultLargeTableRows,
  };
}

/** What the file itself lets pass, by lines `-- tenantctl:allow`. */
export function allowedByFile({ kind, text, displayPath }: Migration): ReadonlySet<HazardName> {
  if (kind === 'js') return new Set();
  const lines = allowedWords(text);
  return new Set(
    lines.flatMap(({ word, offset }) => {
      const { line } = lineAndColumn(text, offset);
      return [...toHazards([word], `${displayPath}:${line}: tenantctl:allow`)];
    }),
  );
}

function toHazards(words: readonly string[], where: string): ReadonlySet<HazardName> {
  return new Set(words.flatMap((word) => (word === 'all' ? hazardNames : [toHazard(word, where)])));
}

function toHazard(word: string, where: string): HazardName {
  if (isHazardName(word)) return word;
  const near = closest(word, hazardNames);
  const what = word === '' ? `${where} names no hazard` : `${where} does not know the hazard ${JSON.stringify(word)}`;
  throw new UsageError(near === null ? what : `${what}: did you mean ${near}?`, {
    hint: `there are ${hazardNames.join(', ')}`,
  });
}

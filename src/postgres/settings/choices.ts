import { UsageError } from '../../errors.ts';
import type { Keyword, KeywordMap } from './keywords.ts';

/** Reads a setting that knows a few words; absent and empty mean the default. */
export function choose<Word extends string>(
  settings: KeywordMap,
  keyword: Keyword,
  words: readonly Word[],
  fallback: Word,
): Word {
  const value = settings.get(keyword);
  if (value === undefined || value === '') return fallback;
  const word = words.find((it) => it === value);
  if (word !== undefined) return word;
  throw new UsageError(`${keyword} "${value}" is not known`, { hint: `one of: ${words.join(', ')}` });
}

/** Reads a setting that is a whole number; null when it is not set. */
export function wholeNumber(settings: KeywordMap, keyword: Keyword): number | null {
  const value = settings.get(keyword);
  if (value === undefined || value === '') return null;
  if (/^\s*-?\d{1,9}\s*$/.test(value)) return Number(value);
  throw new UsageError(`${keyword} "${value}" is not a whole number`);
}

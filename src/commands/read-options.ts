import { UsageError } from '../errors.ts';
import { parseDuration } from '../fleet/duration.ts';
import type { RawOptions } from './command.ts';

/** A flag's text, or null when it was not given. */
export function readText(raw: RawOptions, key: string): string | null {
  const value = raw[key];
  return typeof value === 'string' ? value : null;
}

export function readTexts(raw: RawOptions, key: string): readonly string[] {
  const value = raw[key];
  return Array.isArray(value) ? value.map(String) : typeof value === 'string' ? [value] : [];
}

export function readSwitch(raw: RawOptions, key: string): boolean {
  return raw[key] === true;
}

/** A whole number of at least `least`. */
export function readCount(raw: RawOptions, key: string, least = 1): number | null {
  const text = readText(raw, key);
  if (text === null) return null;
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  throw new UsageError(`${flagName(key)} takes a whole number from ${least} on, not ${JSON.stringify(text)}`);
}

/** Milliseconds. */
export function readDuration(raw: RawOptions, key: string): number | null {
  const text = readText(raw, key);
  if (text === null) return null;
  const durationMs = parseDuration(text);
  if (durationMs === null) {
    throw new UsageError(`${flagName(key)} takes a duration, not ${JSON.stringify(text)}`, {
      hint: 'like 500ms, 30s, 15min, 2h, 7d',
    });
  }
  return durationMs;
}

/** So many tenants, or a share of them. */
export type Share = { readonly count: number } | { readonly percent: number };

export function readShare(raw: RawOptions, key: string): Share | null {
  const text = readText(raw, key);
  if (text === null) return null;
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  if (percent !== undefined && Number(percent) <= 100) return { percent: Number(percent) };
  if (/^\d+$/.test(text)) return { count: Number(text) };
  throw new UsageError(`${flagName(key)} takes a number or a percentage, not ${JSON.stringify(text)}`, {
    hint: 'like 5 or 2%',
  });
}

/** How many of `total` a share is: a percentage is rounded up, so that 2% of 3 tenants is one. */
export function resolveShare(share: Share | null, total: number): number | null {
  if (share === null) return null;
  return 'count' in share ? share.count : Math.ceil((share.percent / 100) * total);
}

function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

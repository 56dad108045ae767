import { UsageError } from '../errors.ts';
import { parseDuration } from '../fleet/duration.ts';
import { parseShare, type Share } from '../fleet/share.ts';
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

export function readShare(raw: RawOptions, key: string): Share | null {
  const text = readText(raw, key);
  if (text === null) return null;
  const share = parseShare(text);
  if (share !== null) return share;
  throw new UsageError(`${flagName(key)} takes a number or a percentage, not ${JSON.stringify(text)}`, {
    hint: 'like 5 or 2%',
  });
}

function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

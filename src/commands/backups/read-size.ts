import { UsageError } from '../../errors.ts';
import type { RawOptions } from '../command.ts';
import { readText } from '../read-options.ts';

const units: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** Bytes, like `500kB`, `50MB`, `2GiB`; null when the flag was not given. */
export function readBytes(raw: RawOptions, key: string, flag: string): number | null {
  const text = readText(raw, key);
  return text === null ? null : parseBytes(text, flag, '50MB');
}

/** Bytes a second, like `50MB/s`. */
export function readRate(raw: RawOptions, key: string, flag: string): number | null {
  const text = readText(raw, key);
  return text === null ? null : parseBytes(text.replace(/\/s$/, ''), flag, '50MB/s', text);
}

function parseBytes(text: string, flag: string, example: string, typed = text): number {
  const [, amount, unit = ''] = /^(\d{1,12}(?:\.\d{1,3})?)([a-zA-Z]{1,3})$/.exec(text) ?? [];
  const bytes = Number(amount) * (units[unit] ?? Number.NaN);
  if (Number.isFinite(bytes) && bytes >= 1) return Math.round(bytes);
  throw new UsageError(`${flag} takes a number and a unit, not ${JSON.stringify(typed)}`, { hint: `like ${example}` });
}

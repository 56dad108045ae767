import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { UsageError } from '../errors.ts';
import type { AcceptedEntry } from './accepted-drift.ts';
import { formatMistakes, formatPosition, type Mistake, onValue } from './inventory/mistakes.ts';
import { quoted } from './inventory/names.ts';
import { asMapping, asText, asTexts, type Mapping, mappingsOf } from './inventory/raw.ts';
import { checkShape } from './inventory/shape.ts';
import { parseYaml } from './inventory/yaml-text.ts';
import { parseLabelSelector } from './labels.ts';

const word = z.string().min(1);

const fileSchema = z.strictObject({
  version: z.literal(1),
  accepted: z
    .array(
      z.strictObject({
        tenants: z.array(word).min(1).optional(),
        labels: z.array(word).min(1).optional(),
        kind: word,
        name: word,
        attribute: word.optional(),
        reason: word,
        until: word,
      }),
    )
    .nullable(),
});

/** Reads a file of accepted differences. All that is wrong with it comes as one UsageError, a line each mistake. */
export async function readAcceptedDrift(path: string, name: string): Promise<readonly AcceptedEntry[]> {
  return parseAcceptedDrift(await readText(path, name), name);
}

/** `name` is what messages call the file. */
export function parseAcceptedDrift(text: string, name: string): readonly AcceptedEntry[] {
  const { raw, mistakes, locate } = parseYaml(text);
  const found = raw === undefined ? [] : checkFile(raw);
  const located = found.map((mistake) => ({ ...mistake, position: locate(mistake.path, mistake.on) }));
  if (mistakes.length + located.length > 0) {
    const details = formatMistakes(name, [...mistakes, ...located]);
    const count = details.length === 1 ? 'a mistake' : `${details.length} mistakes`;
    throw new UsageError(`${name} has ${count}`, { details, hint: 'docs/drift.md shows what goes into it' });
  }
  const { accepted } = raw as z.infer<typeof fileSchema>;
  return (accepted ?? []).map(({ tenants = [], labels = [], attribute = null, ...entry }, index) => ({
    ...entry,
    tenants,
    labels: labels.flatMap(parseLabelSelector),
    attribute,
    at: formatPosition(name, locate(['accepted', index], 'value')),
  }));
}

async function readText(path: string, name: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'it is not utf-8 text' : (code ?? String(error));
    throw new UsageError(`cannot read the accepted differences in ${name}: ${why}`, {
      hint: 'check the path: --accepted, or drift.accepted of the inventory',
      cause: error,
    });
  }
}

function checkFile(raw: unknown): readonly Mistake[] {
  const shape = checkShape(raw, fileSchema);
  // Both look at the same values; where the shape is wrong, its word is the one to hear.
  const wrong = new Set(shape.map(({ path }) => JSON.stringify(path)));
  const meaning = mappingsOf(asMapping(raw)?.accepted).flatMap(([index, entry]) => checkEntry(entry, index));
  return [...shape, ...meaning.filter(({ path }) => !wrong.has(JSON.stringify(path)))];
}

function checkEntry(entry: Mapping, index: number): readonly Mistake[] {
  const path = ['accepted', index];
  const { tenants, labels } = entry;
  const until = asText(entry.until);
  return [
    ...(tenants === undefined && labels === undefined
      ? [onValue(path, 'expected tenants (ids or globs) or labels: for whom is it accepted?')]
      : []),
    ...(asTexts(labels) ?? []).flatMap((label, at) => checkLabel(label, [...path, 'labels', at])),
    ...(until === null || until === '' || isDate(until)
      ? []
      : [onValue([...path, 'until'], `expected a date such as 2027-03-31, got ${quoted(until)}`)]),
  ];
}

function checkLabel(label: string, path: readonly (string | number)[]): readonly Mistake[] {
  try {
    parseLabelSelector(label);
    return [];
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return [onValue(path, 'expected a label such as tier=gold, tier!=free, region or !region')];
  }
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return false;
  const at = new Date(`${text}T00:00:00Z`);
  // 2027-02-30 would become a day in March.
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}

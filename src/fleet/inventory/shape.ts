import { z } from 'zod';
import { closest } from '../did-you-mean.ts';
import { fileSchema } from './file-schema.ts';
import { type Mistake, onKey, onValue, type Path } from './mistakes.ts';

/** Everything of the wrong kind, missing or unknown, by path: of an inventory, or of a file with another schema. */
export function checkShape(raw: unknown, schema: z.ZodType = fileSchema): readonly Mistake[] {
  const result = schema.safeParse(raw, { error: describeIssue });
  if (result.success) return [];
  return result.error.issues.flatMap((issue) => {
    const path = issue.path.filter((step) => typeof step !== 'symbol');
    if (issue.code !== 'unrecognized_keys') return [onValue(path, issue.message)];
    const known = keysAt(schema, path);
    return issue.keys.map((key) => onKey([...path, key], unknownKey(key, known)));
  });
}

function unknownKey(key: string, known: readonly string[]): string {
  const near = closest(key, known);
  return `unknown key: ${near === null ? `known here are ${known.join(', ')}` : `did you mean ${near}?`}`;
}

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  int: 'a whole number',
  number: 'a whole number',
  array: 'a list',
  object: 'a mapping (key: value)',
  record: 'a mapping (key: value)',
};

/** Our words for what zod found; the values themselves are not repeated, for one of them may be a password. */
function describeIssue(issue: z.core.$ZodRawIssue): string {
  const missing = issue.input === undefined ? 'missing: ' : '';
  switch (issue.code) {
    case 'invalid_type': {
      const expected = `${missing}expected ${kinds[issue.expected] ?? issue.expected}`;
      return missing === '' ? `${expected}, got ${describeValue(issue.input, issue.expected)}` : expected;
    }
    case 'invalid_value':
      return `${missing}expected ${issue.values.map(String).join(' or ')}`;
    case 'too_small':
      if (issue.origin === 'array') return 'expected at least one entry';
      return issue.origin === 'string' ? 'is empty' : `expected at least ${issue.minimum}`;
    case 'too_big':
      return `expected at most ${issue.maximum}`;
    default:
      return 'is not understood';
  }
}

function describeValue(value: unknown, expected: string): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  const kind = typeof value;
  if (kind === 'object') return 'a mapping';
  if (kind === 'string') return 'text';
  if (kind === 'number' && expected === 'int') return 'a fraction';
  const article = kind === 'number' ? 'a number' : 'true or false';
  return expected === 'string' ? `${article}: quote it` : article;
}

/** The keys that the schema knows at a path. */
function keysAt(file: z.ZodType, path: Path): readonly string[] {
  let schema: unknown = file;
  for (const step of path) {
    schema = unwrap(schema);
    if (schema instanceof z.ZodObject) schema = schema.shape[step];
    else if (schema instanceof z.ZodRecord) schema = schema.valueType;
    else if (schema instanceof z.ZodArray) schema = schema.element;
  }
  schema = unwrap(schema);
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

function unwrap(schema: unknown): unknown {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodNullable) inner = inner.unwrap();
  return inner;
}

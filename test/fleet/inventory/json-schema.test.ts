import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { inventoryJsonSchema } from '../../../src/fleet/inventory/file-schema.ts';
import { asMapping } from '../../../src/fleet/inventory/raw.ts';

const root = join(import.meta.dirname, '../../..');

test('the published schema is the one that checks', async () => {
  const published = await readFile(join(root, 'schema/tenants.schema.json'), 'utf8');
  expect(published, 'run: node scripts/write-json-schema.ts').toBe(
    `${JSON.stringify(inventoryJsonSchema(), null, 2)}\n`,
  );
});

/** Every key below a schema, with `*` for the names that people choose. */
function keysOfSchema(schema: unknown, path: string): readonly string[] {
  const { properties, items, additionalProperties, anyOf } = asMapping(schema) ?? {};
  const inner = Object.entries(asMapping(properties) ?? {}).flatMap(([key, value]) => [
    `${path}.${key}`,
    ...keysOfSchema(value, `${path}.${key}`),
  ]);
  const free = asMapping(additionalProperties) === null ? [] : keysOfSchema(additionalProperties, `${path}.*`);
  const listed = items === undefined ? [] : keysOfSchema(items, `${path}[]`);
  const either = Array.isArray(anyOf) ? anyOf.flatMap((each) => keysOfSchema(each, path)) : [];
  return [...inner, ...free, ...listed, ...either];
}

function shows(value: unknown, steps: readonly string[]): boolean {
  const [step, ...rest] = steps;
  if (step === undefined) return value !== undefined;
  if (step === '[]') return Array.isArray(value) && value.some((each) => shows(each, rest));
  const mapping = asMapping(value) ?? {};
  if (step === '*') return Object.values(mapping).some((each) => shows(each, rest));
  return Object.hasOwn(mapping, step) && shows(mapping[step], rest);
}

test('the example shows every key of the schema', async () => {
  const example: unknown = parse(await readFile(join(root, 'tenants.example.yaml'), 'utf8'));
  const keys = keysOfSchema(inventoryJsonSchema(), '');
  expect(keys).toContain('.discover[].schemas');
  expect(keys).toContain('.servers.*.password.awsSecret');
  const missing = keys.filter((key) => !shows(example, key.match(/\[\]|[^.[\]]+/g) ?? []));
  expect(missing).toEqual([]);
});

import type { Fact, FactValue, OwnNames } from './fact.ts';

const [begin, end] = ['\u0001', '\u0002'] as const;
const found = new RegExp(`${begin}(schema|id|role)${end}`, 'g');
const written = /\{(=*)(schema|id|role)\}/g;

/** What the server puts in the place of a tenant's own name: no name and no text of people has such characters. */
export function standInSql(name: keyof OwnNames): string {
  return `E'\\x01${name}\\x02'`;
}

/**
 * A fact as it is shown and kept: `{schema}` is the tenant's own, and what reads `{schema}` by itself, in a text or a
 * name, is `{=schema}`. So neither is ever taken for the other.
 */
export function withStandIns({ kind, name, table, attributes }: Fact): Fact {
  const values = Object.entries(attributes).map(([key, value]) => [key, showValue(value)] as const);
  return { kind, name: show(name), table: table === null ? null : show(table), attributes: Object.fromEntries(values) };
}

function showValue(value: FactValue): FactValue {
  if (typeof value === 'string') return show(value);
  return Array.isArray(value) ? value.map(show) : value;
}

function show(text: string): string {
  return text.replaceAll(written, '{=$1$2}').replaceAll(found, '{$1}');
}

/** Whether the tenant's own names stand in a text; `names`: only these of them. */
export function hasStandIn(text: string, names: readonly (keyof OwnNames)[] = ['schema', 'id', 'role']): boolean {
  return names.some((name) => text.includes(`{${name}}`));
}

/** Puts something in the place of each stand-in, and `{schema}` where a text has it by itself. */
export function replaceStandIns(text: string, fill: (name: keyof OwnNames) => string): string {
  return text.replaceAll(written, (_, escaped: string, name: keyof OwnNames) => {
    return escaped === '' ? fill(name) : `{${escaped.slice(1)}${name}}`;
  });
}

import type { Fact } from '../fact.ts';

/** An attribute's text; null: it has none. */
export function textOf(fact: Fact | null, attribute: string): string | null {
  const value = fact?.attributes[attribute] ?? null;
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null;
}

/** Whether an attribute is true. */
export function isSet(fact: Fact | null, attribute: string): boolean {
  return fact?.attributes[attribute] === true;
}

export function listOf(fact: Fact | null, attribute: string): readonly string[] {
  const value = fact?.attributes[attribute];
  return Array.isArray(value) ? value : [];
}

/** The last part of `table.column`, as it is written in SQL. */
export function ownPart({ name, table }: Fact): string {
  return table !== null && name.startsWith(`${table}.`) ? name.slice(table.length + 1) : name;
}

/** A string literal. A backslash in it means itself, whatever the session's settings say. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

/** A name as it stands in the catalogue, for SQL; one that is quoted already, where it must be, is left alone. */
export function bareName(sqlName: string): string {
  return sqlName.startsWith('"') ? sqlName.slice(1, -1).replaceAll('""', '"') : sqlName;
}

/** `fillfactor=80` as `fillfactor = '80'`, for WITH (…) and SET (…). */
export function optionList(options: readonly string[], prefix = ''): string {
  return options.map((option) => optionText(option, prefix)).join(', ');
}

function optionText(option: string, prefix: string): string {
  const at = option.indexOf('=');
  if (at === -1) return `${prefix}${option}`;
  return `${prefix}${option.slice(0, at)} = ${quoteLiteral(option.slice(at + 1))}`;
}

/** What to do to options so that they become those of the reference: `SET (…)`, `RESET (…)`. */
export function optionActions(reference: readonly string[], actual: readonly string[], prefix = ''): readonly string[] {
  const nameOf = (option: string) => option.split('=', 1)[0] ?? option;
  const set = reference.filter((option) => !actual.includes(option));
  const names = new Set(reference.map(nameOf));
  const gone = actual.map(nameOf).filter((name) => !names.has(name));
  return [
    ...(set.length > 0 ? [`SET (${optionList(set, prefix)})`] : []),
    ...(gone.length > 0 ? [`RESET (${gone.map((name) => prefix + name).join(', ')})`] : []),
  ];
}

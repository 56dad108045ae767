import { TenantError } from '../../errors.ts';
import { quoteIdentifier } from '../../postgres/identifiers.ts';
import type { OwnNames } from '../fact.ts';
import { isTelling } from '../own-names.ts';
import { hasStandIn, replaceStandIns } from '../stand-ins.ts';
import type { FixStatement } from './statement.ts';

/** What SQL consists of: texts with backslashes, texts, names, bodies, remarks, and all between them. */
const parts =
  /(?<![\p{L}\p{N}_$])[eE]'(?:[^'\\]|''|\\[\s\S])*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([\p{L}\p{N}_]*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|(?:(?!(?<![\p{L}\p{N}_$])[eE]'|--|\/\*)[^'"$])+|[\s\S]/gu;

/** A role in SQL: facts have it quoted where it must be, or with stand-ins for the tenant's own names. */
export function roleSql(role: string): string {
  return hasStandIn(role) ? quoteIdentifier(role) : role;
}

/**
 * Puts a tenant's own names where the stand-ins are, quoted as the place wants it. Throws a TenantError when the tenant
 * has no such name.
 */
export function fillIn({ text }: Pick<FixStatement, 'text'>, own: OwnNames): string {
  return text.replaceAll(parts, (part: string, tag: string | undefined) => {
    const mark = `$${tag ?? ''}$`;
    if (tag !== undefined && part.length >= 2 * mark.length) {
      return `${mark}${fillIn({ text: part.slice(mark.length, -mark.length) }, own)}${mark}`;
    }
    return replaceStandIns(part, (name) => writeName(nameOf(own, name), part));
  });
}

function nameOf(own: OwnNames, name: keyof OwnNames): string {
  const value = own[name];
  if (value !== null) return value;
  throw new TenantError({
    message: `the reference names its own ${name}, and this tenant has none`,
    code: 'no-own-name',
    hint: `give the tenant a ${name} in the inventory, or compare it with another reference`,
  });
}

function writeName(value: string, part: string): string {
  if (part.startsWith('--') || part.startsWith('/*')) return value;
  if (part.startsWith('"')) return value.replaceAll('"', '""');
  const doubled = value.replaceAll("'", "''");
  if (part.startsWith("'")) return doubled;
  if (/^[eE]'/.test(part)) return doubled.replaceAll('\\', '\\\\');
  // A body may be in any language: nothing is quoted that need not be.
  return /^[a-z_][a-z0-9_$]*$/.test(value) && isTelling(value) ? value : quoteIdentifier(value);
}

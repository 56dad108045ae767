import type { OwnNames } from '../fact.ts';
import type { FixStatement } from './statement.ts';

const quotedText = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([\p{L}\p{N}_]*)\$[\s\S]*?\$\1\$|[^'"$]+|\$/gu;
const placeholder = /\{(schema|id|role)\}/g;

/** A role in SQL: facts have it quoted where it must be, or with stand-ins for the tenant's own names. */
export function roleSql(role: string): string {
  return hasPlaceholder(role) ? `"${role.replaceAll('"', '""')}"` : role;
}

export function hasPlaceholder(text: string): boolean {
  return /\{(?:schema|id|role)\}/.test(text);
}

/**
 * Puts a tenant's own names where the stand-ins are, quoted as the place wants it. In a text that is not templated only
 * names hold stand-ins: `{id}` in a literal is a path into jsonb there.
 */
export function fillIn({ text, isTemplated }: Pick<FixStatement, 'text' | 'isTemplated'>, own: OwnNames): string {
  if (!hasPlaceholder(text)) return text;
  return text.replaceAll(quotedText, (part) => {
    const quote = part[0] === "'" || part[0] === '"' ? part[0] : null;
    if (!isTemplated && quote !== '"') return part;
    return part.replaceAll(placeholder, (whole, name: keyof OwnNames) => {
      const value = own[name];
      if (value === null) return whole;
      return quote === null ? value : value.replaceAll(quote, quote + quote);
    });
  });
}

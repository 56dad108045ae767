import { safeText } from './safe-text.ts';

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/**
 * Text for an attribute or an element, one line. XML 1.0 cannot hold most control characters, lone surrogates and
 * U+FFFE, not even escaped: they are spelt out, as in every other report.
 */
export function xmlText(text: string): string {
  return safeText(text).replace(/[&<>"']/g, (found) => entities[found] ?? found);
}

/** ` name="x" time="0.012"`; what is undefined is left out. */
export function xmlAttributes(attributes: Readonly<Record<string, string | number | undefined>>): string {
  const present = Object.entries(attributes).filter(([, value]) => value !== undefined);
  return present.map(([name, value]) => ` ${name}="${xmlText(String(value))}"`).join('');
}

/**
 * Control, format (also bidirectional overrides and zero-width characters), private, unassigned and lone surrogate
 * code points, and the two Unicode line ends. Names and messages come from servers: what one customer put into a
 * table name must not move the operator's cursor or fake a line.
 */
const unsafe = /[\p{C}\p{Zl}\p{Zp}]/gu;

const shortForms: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\u001b': '\\x1b' };

/** The text with everything a terminal would act on made visible; always one line. */
export function safeText(text: string): string {
  return text.replace(unsafe, (found) => shortForms[found] ?? visibleForm(found));
}

function visibleForm(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}

/** What JSON.stringify leaves alone but a terminal acts on. */
const unsafeInJson = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu;

/** JSON in which every control and format character is escaped; the same value, safe on a terminal. */
export function safeJson(value: unknown): string {
  return JSON.stringify(value, plainValue).replace(unsafeInJson, (found) => {
    let escaped = '';
    for (let i = 0; i < found.length; i += 1) escaped += `\\u${found.charCodeAt(i).toString(16).padStart(4, '0')}`;
    return escaped;
  });
}

/** PostgreSQL counts in 64 bits; JSON knows no bigint. */
function plainValue(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
}

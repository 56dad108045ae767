import type { FactValue } from './fact.ts';

/** What a terminal, a diff or an editor would not show as it is: control and format characters, lone surrogates. */
const invisible = /[\p{C}\p{Zl}\p{Zp}]/u;
const invisibleAll = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** A text on one line that shows each of its characters: JSON with more escapes than JSON asks for. */
export function quoteText(text: string): string {
  return JSON.stringify(text).replace(invisibleAll, (found) =>
    [...Array(found.length).keys()]
      .map((index) => `\\u${found.charCodeAt(index).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

/** The text of a JSON string; null when it is none. */
export function unquoteText(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : null;
  } catch {
    return null;
  }
}

/** Names without blanks stand as they are, all others in quotes. */
export function formatName(name: string): string {
  return /^[^\s"]+$/.test(name) && !invisible.test(name) ? name : quoteText(name);
}

/** Words such as `not null` and `column order` stand as they are. */
export function formatWords(words: string): string {
  return /^[a-z]+(?: [a-z]+)*$/.test(words) ? words : quoteText(words);
}

/** Anything but a text of several lines and a list, on one line. */
export function formatScalar(value: Exclude<FactValue, readonly string[]>): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  return isPlain(value) ? value : quoteText(value);
}

/** Can it stand as it is, without being taken for something else, or for less? */
function isPlain(text: string): boolean {
  if (text === '' || text.trim() !== text || invisible.test(text)) return false;
  return !/^(?:["|]|- |\[\])/.test(text) && !isLiteral(text);
}

function isLiteral(text: string): boolean {
  return /^(?:true|false|null)$/.test(text) || /^-?\d/.test(text);
}

/** The value of one line; undefined when it is written wrongly. */
export function readScalar(text: string): Exclude<FactValue, readonly string[]> | undefined {
  if (text.startsWith('"')) return unquoteText(text) ?? undefined;
  if (!isLiteral(text)) return isPlain(text) ? text : undefined;
  try {
    return JSON.parse(text) as boolean | number | null;
  } catch {
    return undefined;
  }
}

/** A line of a text of several lines: after a bar as it is, or in quotes where it would not be seen as it is. */
export function formatLine(line: string): string {
  if (line === '') return '|';
  return line.trimEnd() === line && !invisible.test(line) ? `| ${line}` : quoteText(line);
}

/** The line of a text; null when it is written wrongly. */
export function readLine(text: string): string | null {
  if (text === '|') return '';
  if (text.startsWith('| ')) return text.slice(2);
  return text.startsWith('"') ? unquoteText(text) : null;
}

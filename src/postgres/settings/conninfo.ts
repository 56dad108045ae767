import { UsageError } from '../../errors.ts';
import { parseConninfoUrl } from './conninfo-url.ts';
import { isKeyword, type Keyword, type KeywordMap } from './keywords.ts';
import { unknownParameter } from './unknown-parameter.ts';

/**
 * Reads a connection string as libpq does: a `postgres://` URL, or `key=value` pairs.
 * Throws a UsageError that says what is wrong and where, and never repeats a value: it may be the password.
 */
export function parseConninfo(text: string): KeywordMap {
  const trimmed = text.trim();
  return /^postgres(ql)?:\/\//.test(trimmed) ? parseConninfoUrl(trimmed) : parsePairs(text);
}

function parsePairs(text: string): KeywordMap {
  const found = new Map<Keyword, string>();
  let at = skipSpace(text, 0);
  while (at < text.length) {
    const pair = readPair(text, at);
    found.set(pair.keyword, pair.value);
    at = skipSpace(text, pair.end);
  }
  return found;
}

function readPair(text: string, start: number): { keyword: Keyword; value: string; end: number } {
  let nameEnd = start;
  while (nameEnd < text.length && text[nameEnd] !== '=' && !isSpace(text[nameEnd])) nameEnd += 1;
  const equals = skipSpace(text, nameEnd);
  if (text[equals] !== '=') {
    throw new UsageError(`the connection string has no "=" after the word at character ${start + 1}`, {
      hint: "write a postgres:// URL, or key=value pairs with quotes around spaces: password='two words'",
    });
  }
  const valueStart = skipSpace(text, equals + 1);
  const { value, end } = text[valueStart] === "'" ? readQuoted(text, valueStart) : readPlain(text, valueStart);
  return { ...toSetting(text.slice(start, nameEnd), value), end };
}

function readQuoted(text: string, start: number): { value: string; end: number } {
  let value = '';
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === "'") return { value, end: at + 1 };
    if (text[at] === '\\') at += 1;
    value += text[at] ?? '';
  }
  throw new UsageError(`the connection string has a quote at character ${start + 1} that is not closed`, {
    hint: "inside quotes write \\' for a quote and \\\\ for a backslash",
  });
}

function readPlain(text: string, start: number): { value: string; end: number } {
  let value = '';
  let at = start;
  for (; at < text.length && !isSpace(text[at]); at += 1) {
    if (text[at] === '\\') at += 1;
    value += text[at] ?? '';
  }
  return { value, end: at };
}

function toSetting(name: string, value: string): { keyword: Keyword; value: string } {
  if (name === 'requiressl') return { keyword: 'sslmode', value: value.startsWith('1') ? 'require' : 'prefer' };
  if (isKeyword(name)) return { keyword: name, value };
  throw unknownParameter(name);
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (isSpace(text[at])) at += 1;
  return at;
}

function isSpace(char: string | undefined): boolean {
  return char !== undefined && /\s/.test(char);
}

import { safeText } from './safe-text.ts';

/** Text of a paragraph or a table's cell that shows what it is: nothing in it is a mark, a tag, a link or a border. */
export function markdownText(text: string): string {
  return safeText(text).replace(/[\\`*_[\]<>|~$&#:]|(?<=www)\./gi, '\\$&');
}

/** A name or a command as code. One with a backtick or a border in it is text: readers of tables disagree about those. */
export function markdownCode(text: string): string {
  const safe = safeText(text);
  return safe === '' || safe !== safe.trim() || /[`|\\]/.test(safe) ? markdownText(text) : `\`${safe}\``;
}

/** The cells are Markdown already. */
export function markdownRow(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |\n`;
}

/** Head and the line below it. */
export function markdownHead(columns: readonly string[]): string {
  return markdownRow(columns) + markdownRow(columns.map(() => '---'));
}

/** Lines as they are: a block by its margin cannot be left open where a long page is cut. */
export function markdownBlock(lines: readonly string[]): string {
  return lines.map((line) => `    ${safeText(line)}\n`).join('');
}

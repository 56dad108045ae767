import { safeText } from './safe-text.ts';
import type { Style } from './style.ts';
import { cutText, displayWidth } from './text.ts';

/** Two spaces between columns, no borders: a table that can be read, cut and grepped. */
const gap = 2;
const minColumnWidth = 6;
/** Rows a table object holds at once; with given widths the pieces fit together. */
const rowsPerPiece = 500;

/**
 * Lines of a table in pieces of text. Cells are made safe and, when there is a width (columns of the terminal; null
 * for a pipe), cut so that no line is longer.
 */
export async function* renderTable(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  options: { readonly width: number | null; readonly style: Style },
): AsyncGenerator<string> {
  if (rows.length === 0) return;
  const { default: Table } = await import('cli-table3');
  const cells = rows.map((row) => columns.map((_, i) => safeText(row[i] ?? '')));
  const widths = columnWidths([columns.map((it) => it.toUpperCase()), ...cells], options.width);
  const cut = (row: readonly string[]) => row.map((cell, i) => cutText(cell, widths[i] ?? 0));
  const head = cut(columns.map((it) => it.toUpperCase()));
  for (let start = 0; start < cells.length; start += rowsPerPiece) {
    const table = new Table({
      chars: noBorders,
      style: { 'padding-left': 0, 'padding-right': gap, head: [], border: [], compact: true },
      colWidths: widths.map((width) => width + gap),
    });
    if (start === 0) table.push(head);
    table.push(...cells.slice(start, start + rowsPerPiece).map(cut));
    const lines = table
      .toString()
      .split('\n')
      .map((line) => line.trimEnd());
    if (start === 0) lines[0] = options.style.bold(lines[0] ?? '');
    yield `${lines.join('\n')}\n`;
  }
}

/** The width each column needs; the widest give way first until a line fits. */
function columnWidths(rows: readonly (readonly string[])[], available: number | null): number[] {
  const widths = rows[0]!.map((_, i) => rows.reduce((max, row) => Math.max(max, displayWidth(row[i] ?? '')), 0));
  if (available === null) return widths;
  let excess = widths.reduce((sum, width) => sum + width + gap, -gap) - available;
  while (excess > 0) {
    const widest = widths.indexOf(Math.max(...widths));
    if (widths[widest]! <= minColumnWidth) break;
    widths[widest]! -= 1;
    excess -= 1;
  }
  return widths;
}

const noBorders = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
};

import type { OutputStream } from '../context.ts';
import { displayWidth } from './text.ts';

const hideCursor = '\u001b[?25l';
const showCursor = '\u001b[?25h';
const eraseBelow = '\u001b[J';

/** A painted line, with its plain text for measuring. */
export interface LiveLine {
  readonly plain: string;
  readonly painted: string;
}

/** The last lines of a terminal, drawn again and again; what is printed stays above them. */
export class LiveRegion {
  readonly #stream: OutputStream;
  #lines: readonly LiveLine[] = [];
  #isCursorHidden = false;
  #isClosed = false;

  constructor(stream: OutputStream) {
    this.#stream = stream;
  }

  /** Replaces the region. The lines are cut to the terminal's width already. */
  draw(lines: readonly LiveLine[]): void {
    this.#write('', lines);
  }

  /** Puts lines above the region, where they stay. */
  print(lines: readonly string[]): void {
    this.#write(lines.map((line) => `${line}\n`).join(''), this.#lines);
  }

  /** Takes the region away and gives the cursor back; nothing is drawn after it. */
  close(): void {
    this.#write('', []);
    this.#isClosed = true;
    if (this.#isCursorHidden) this.#stream.write(showCursor);
    this.#isCursorHidden = false;
  }

  /** One write for all: a terminal never shows the moment between erasing and drawing. */
  #write(above: string, lines: readonly LiveLine[]): void {
    if (this.#isClosed || (above === '' && lines.length === 0 && this.#lines.length === 0)) return;
    const hide = this.#isCursorHidden ? '' : hideCursor;
    this.#isCursorHidden = true;
    this.#stream.write(hide + this.#erase() + above + lines.map((line) => `${line.painted}\n`).join(''));
    this.#lines = lines;
  }

  /** Back to the region's first row. A terminal made narrower since has wrapped the lines into more rows. */
  #erase(): string {
    const columns = Math.max(1, this.#stream.columns);
    const rows = this.#lines.reduce((sum, { plain }) => sum + Math.max(1, Math.ceil(displayWidth(plain) / columns)), 0);
    return rows === 0 ? '' : `\u001b[${rows}A\r${eraseBelow}`;
  }
}

import type { OutputStream } from '../../src/context.ts';
import { displayWidth } from '../../src/output/text.ts';

/** Escape sequences, single control characters, and runs of text. */
const tokens = /\p{Cc}\[[?\d;]*[A-Za-z]|\p{Cc}|\P{Cc}+/gu;

/** A terminal that understands what the live display uses, and refuses everything else. */
export class Screen implements OutputStream {
  readonly isTTY = true;
  columns: number;
  /** All lines since the start, as in a terminal's scrollback. */
  lines: string[] = [''];
  widest = 0;
  isCursorVisible = true;
  #row = 0;

  constructor(columns = 80) {
    this.columns = columns;
  }

  get text(): string {
    return this.lines.join('\n').trimEnd();
  }

  write(text: string): void {
    for (const token of text.match(tokens) ?? []) this.#take(token);
  }

  #take(token: string): void {
    const up = /^.\[(\d+)A$/u.exec(token);
    if (token === '\u001b[?25l') this.isCursorVisible = false;
    else if (token === '\u001b[?25h') this.isCursorVisible = true;
    else if (up !== null) this.#row -= Number(up[1]);
    else if (token === '\u001b[J') this.lines = [...this.lines.slice(0, this.#row), ''];
    else if (/^\p{Cc}\[\d+m$/u.test(token) || token === '\r') return;
    else if (token === '\n') {
      this.#row += 1;
      this.lines[this.#row] ??= '';
    } else if (/^\p{Cc}/u.test(token)) throw new Error(`unexpected ${JSON.stringify(token)}`);
    else {
      this.lines[this.#row] += token;
      this.widest = Math.max(this.widest, displayWidth(this.lines[this.#row] ?? ''));
    }
    if (this.#row < 0) throw new Error('the display erased lines above its own');
  }
}

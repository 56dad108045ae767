const newline = 10;
const dot = 46;
const backslash = 92;

/** What stands after the line `\.`: pg_dump ends each table's data with two empty lines. */
const bytesAfterEnd = 2;

/** Counts the rows of a COPY text as it passes by, and looks for the line `\.` that must end it. */
export class CopyRows {
  #lines = 0;
  /** Of the line that has begun: its length, and its first two bytes if they came in an earlier piece. */
  #lineLength = 0;
  #first = 0;
  #second = 0;
  /** Lines before the line `\.`; -1: it has not come. */
  #rows = -1;
  /** Bytes since the line `\.`. */
  #after = 0;

  /** Takes the next bytes of the text. */
  add(bytes: Buffer, from: number, to: number): void {
    let at = from;
    if (this.#rows < 0) at = this.#count(bytes, from, to);
    for (; at < to; at += 1) {
      // Anything else than the two line ends makes the text wrong: counted so that it can never fit again.
      this.#after += bytes[at] === newline ? 1 : bytesAfterEnd + 1;
    }
  }

  /** The rows, or what is wrong with the text. */
  end(): { readonly rows: number } | { readonly problem: string } {
    if (this.#rows < 0) return { problem: `its rows do not end with \\. (${this.#lines} lines were there)` };
    if (this.#after !== bytesAfterEnd) return { problem: `something stands after \\. (row ${this.#rows + 1})` };
    return { rows: this.#rows };
  }

  /** Counts lines up to the line `\.`; gives where it stopped. */
  #count(bytes: Buffer, from: number, to: number): number {
    let lines = this.#lines;
    let lineStart = from - this.#lineLength;
    // A search for each line is several times faster than a look at each byte.
    for (let next = from; next < to; next = lineStart) {
      const at = bytes.indexOf(newline, next);
      if (at < 0 || at >= to) break;
      if (at - lineStart === 2 && this.#isEnd(bytes, lineStart, from)) {
        this.#rows = lines;
        return at + 1;
      }
      lines += 1;
      lineStart = at + 1;
    }
    this.#lines = lines;
    this.#lineLength = to - lineStart;
    if (lineStart >= from) this.#first = bytes[lineStart] ?? 0;
    if (lineStart + 1 >= from) this.#second = bytes[lineStart + 1] ?? 0;
    return to;
  }

  #isEnd(bytes: Buffer, lineStart: number, from: number): boolean {
    const first = lineStart >= from ? bytes[lineStart] : this.#first;
    const second = lineStart + 1 >= from ? bytes[lineStart + 1] : this.#second;
    return first === backslash && second === dot;
  }
}

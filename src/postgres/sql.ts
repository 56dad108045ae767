import { quoteIdentifier, quoteQualified } from './identifiers.ts';

/** A statement ready to send: identifiers are in the text, values are not. */
export interface Sql {
  readonly text: string;
  readonly values: readonly unknown[];
}

class Spliced {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

class Fragment {
  readonly strings: readonly string[];
  readonly parts: readonly unknown[];
  constructor(strings: readonly string[], parts: readonly unknown[]) {
    this.strings = strings;
    this.parts = parts;
  }
}

/** Splices a name, or a schema and a name, quoted. */
export function identifier(first: string, second?: string): unknown {
  return new Spliced(second === undefined ? quoteIdentifier(first) : quoteQualified(first, second));
}

/** Splices a whole number as it is; the number of `$n` in one statement is limited. */
export function integer(value: number): unknown {
  const whole = Math.trunc(value);
  if (!Number.isSafeInteger(whole)) throw new RangeError('not a whole number');
  return new Spliced(String(whole));
}

/** A piece of a statement, for use inside another `sql`. */
export function fragment(strings: TemplateStringsArray, ...parts: readonly unknown[]): unknown {
  return new Fragment(strings, parts);
}

/** Puts fragments one after the other with a fixed text between them. */
export function join(fragments: readonly unknown[], separator: string): unknown {
  const strings = fragments.length === 0 ? [''] : ['', ...Array(fragments.length - 1).fill(separator), ''];
  return new Fragment(strings, fragments);
}

/** Makes `{ text, values }`: identifiers and fragments are spliced, everything else becomes `$n`. */
export function sql(strings: TemplateStringsArray, ...parts: readonly unknown[]): Sql {
  const values: unknown[] = [];
  return { text: render(strings, parts, values), values };
}

function render(strings: readonly string[], parts: readonly unknown[], values: unknown[]): string {
  const pieces = [strings[0] ?? ''];
  parts.forEach((part, index) => {
    if (part instanceof Spliced) pieces.push(part.text);
    else if (part instanceof Fragment) pieces.push(render(part.strings, part.parts, values));
    else pieces.push(`$${values.push(part)}`);
    pieces.push(strings[index + 1] ?? '');
  });
  return pieces.join('');
}

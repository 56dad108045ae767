import { UsageError } from '../errors.ts';
import { type Fact, type FactSet, type FactValue, factKey, type Unmodelled } from './fact.ts';
import { lastLine, snapshotFormat } from './snapshot-text.ts';
import { readLine, readScalar, unquoteText } from './snapshot-values.ts';

const quoted = String.raw`"(?:[^"\\]|\\.)*"`;
const words = `(?:[a-z]+(?: [a-z]+)*|${quoted})`;
const name = String.raw`(?:[^\s"]\S*|${quoted})`;
const factLine = new RegExp(
  `^(${words}): (${name})(?: of (${name}))?(?: \\((templated|templated by chance|literally)\\))?$`,
);
const attributeLine = new RegExp(`^ {2}(${words}):(?: (.*))?$`);
const countLine = new RegExp(`^not looked at: (\\d{1,15}) (${name})$`);

/**
 * Reads what `formatSnapshot` wrote, also after a person or git has had it in hands. `file` is for messages. Throws a
 * UsageError that names the line of what is damaged.
 */
export function parseSnapshot(text: string, file: string): FactSet {
  const parser = new SnapshotParser(text, file);
  return parser.parse();
}

class SnapshotParser {
  readonly #lines: readonly string[];
  readonly #file: string;
  #next = 0;
  readonly #facts = new Map<string, Fact>();
  readonly #unmodelled: Unmodelled[] = [];
  readonly #templated: string[] = [];
  readonly #byChance: string[] = [];
  readonly #literal = new Map<string, Fact>();

  constructor(text: string, file: string) {
    // A checkout on Windows has other line ends, and editors put a mark in front.
    this.#lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
    this.#file = file;
  }

  parse(): FactSet {
    const major = this.#readFirst();
    for (;;) {
      const line = this.#take();
      if (line === null) throw this.#wrong('the file ends before its last line, which is `end`: it was cut off');
      if (line === lastLine) break;
      if (line === '' || line.startsWith('#')) continue;
      this.#readCount(line) || this.#readFact(line);
    }
    while (this.#next < this.#lines.length) {
      if (this.#take() !== '') throw this.#wrong('something follows after the last line');
    }
    const chance = this.#byChance.length === 0 ? {} : { byChance: this.#byChance, literal: this.#literal };
    return { major, facts: this.#facts, unmodelled: this.#unmodelled, templated: this.#templated, ...chance };
  }

  #readFirst(): number {
    const found = /^facts (\d{1,9}), postgresql (\d{1,3})$/.exec(this.#take() ?? '');
    if (found === null) throw this.#wrong('this is no snapshot of drift');
    if (Number(found[1]) !== snapshotFormat) {
      throw this.#wrong(`the snapshot has format ${found[1]}, and this tenantctl knows format ${snapshotFormat}`);
    }
    return Number(found[2]);
  }

  #readCount(line: string): boolean {
    const [, count, kind] = countLine.exec(line) ?? [];
    if (count === undefined || kind === undefined) return false;
    this.#unmodelled.push({ kind: this.#text(kind), count: Number(count) });
    return true;
  }

  #readFact(line: string): void {
    const [, kind, factName, table, mark] = factLine.exec(line) ?? [];
    if (kind === undefined || factName === undefined) throw this.#wrong('no object begins like this');
    const at = this.#next;
    const fact: Fact = {
      kind: this.#text(kind),
      name: this.#text(factName),
      table: table === undefined ? null : this.#text(table),
      attributes: this.#readAttributes(),
    };
    const key = factKey(fact.kind, fact.name);
    const of = this.#byChance.at(-1);
    if (mark === 'literally') {
      if (of === undefined) throw this.#wrong('nothing before it was templated by chance', at);
      this.#literal.set(of, fact);
      return;
    }
    if (this.#facts.has(key)) throw this.#wrong(`the ${fact.kind} ${fact.name} is there twice`, at);
    this.#facts.set(key, fact);
    if (mark?.startsWith('templated')) this.#templated.push(key);
    if (mark === 'templated by chance') this.#byChance.push(key);
  }

  #readAttributes(): Fact['attributes'] {
    const attributes: [string, FactValue][] = [];
    const seen = new Set<string>();
    while (this.#peek()?.startsWith('  ')) {
      const [, attribute, rest] = attributeLine.exec(this.#take() ?? '') ?? [];
      if (attribute === undefined) throw this.#wrong('no attribute is written like this');
      const key = this.#text(attribute);
      if (seen.has(key)) throw this.#wrong(`${key} is there twice`);
      seen.add(key);
      attributes.push([key, this.#readValue(rest)]);
    }
    // Not key by key: a name such as __proto__ is a name like any other.
    return Object.fromEntries(attributes);
  }

  #readValue(rest: string | undefined): FactValue {
    if (rest === undefined) return this.#readItems((text) => (text.startsWith('- ') ? text.slice(2) : null), 1, true);
    if (rest === '|') return this.#readItems(readLine, 2, false).join('\n');
    if (rest === '[]') return [];
    const value = readScalar(rest);
    if (value === undefined) throw this.#wrong('no value is written like this');
    return value;
  }

  /** The lines that are indented below an attribute; at least so many. */
  #readItems(read: (text: string) => string | null, least: number, areValues: boolean): string[] {
    const items: string[] = [];
    while (this.#peek()?.startsWith('    ')) {
      const text = read((this.#take() ?? '').slice(4));
      const item = text === null || !areValues ? text : readScalar(text);
      if (typeof item !== 'string') throw this.#wrong('no line of a value is written like this');
      items.push(item);
    }
    if (items.length < least) throw this.#wrong('lines of a value are missing after this one');
    return items;
  }

  #peek(): string | undefined {
    return this.#lines[this.#next];
  }

  #take(): string | null {
    const line = this.#lines[this.#next];
    this.#next += 1;
    return line ?? null;
  }

  /** A text that may be in quotes. */
  #text(written: string): string {
    const text = written.startsWith('"') ? unquoteText(written) : written;
    if (text === null) throw this.#wrong('quotes around something that is no text');
    return text;
  }

  #wrong(message: string, line = this.#next): UsageError {
    const at = Math.min(line, this.#lines.length);
    return new UsageError(`${this.#file}:${at}: ${message}`, {
      hint: 'write the snapshot anew with `tenantctl drift snapshot`, or take an earlier version of the file',
    });
  }
}

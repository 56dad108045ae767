import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  visit,
  type YAMLError,
} from 'yaml';
import type { Locate, LocatedMistake, Position } from './mistakes.ts';

export interface ParsedYaml {
  /** What the text says, unchecked; undefined when the mistakes leave nothing that could be checked further. */
  readonly raw: unknown;
  readonly mistakes: readonly LocatedMistake[];
  readonly locate: Locate;
}

/** Parses YAML 1.2 (with merge keys) and keeps what is needed to name lines and columns later. */
export function parseYaml(text: string): ParsedYaml {
  const lines = new LineCounter();
  // Pretty errors would quote the lines of the file, and a line may hold a password.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true, stringKeys: true });
  const positionOf = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const locate: Locate = (path, on) => positionOf(offsetOf(document, path, on));
  // An unknown tag is only a warning to the parser; `!env X` would become the text "X".
  const mistakes = [...document.errors, ...document.warnings].map((error) => ({
    position: positionOf(error.pos[0]),
    path: [],
    message: describe(error),
  }));
  if (document.errors.some((error) => error.code !== 'DUPLICATE_KEY')) return { raw: undefined, mistakes, locate };
  const dangling = danglingAliases(document).map((offset) => ({
    position: positionOf(offset),
    path: [],
    message: 'an alias needs its anchor (&name) before it, and not around it',
  }));
  if (dangling.length > 0) return { raw: undefined, mistakes: [...mistakes, ...dangling], locate };
  // Aliases stay shared objects here, so that there is nothing to blow up and no count to limit.
  return { raw: document.toJS({ maxAliasCount: -1 }), mistakes, locate };
}

/** In our own words where the parser's would quote the file or speak of its own options. */
function describe(error: YAMLError): string {
  switch (error.code) {
    case 'DUPLICATE_KEY':
      return 'this key stands twice in one mapping';
    case 'MULTIPLE_DOCS':
      return 'a second document begins here: an inventory is one document';
    case 'NON_STRING_KEY':
      return 'a key must be plain text';
    case 'UNEXPECTED_TOKEN':
      return 'this is not valid yaml here';
    case 'TAG_RESOLVE_FAILED':
      return 'a tag of this kind is not known here: remove it';
    case 'TAB_AS_INDENT':
      return 'a tab cannot indent: use spaces';
    case 'BLOCK_AS_IMPLICIT_KEY':
      return 'a second ": " in one line: write the value in quotes';
    case 'BAD_SCALAR_START':
      return 'a value cannot begin with this character: write it in quotes';
    default:
      return `invalid yaml: ${lowerFirst(error.message)}`;
  }
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** Aliases of anchors that come later, never, or around them: without them the value is a finite tree. */
function danglingAliases(document: Document): readonly number[] {
  const anchors = new Set<string>();
  const offsets: number[] = [];
  const remember = (node: { anchor?: string }): void => {
    if (node.anchor !== undefined) anchors.add(node.anchor);
  };
  visit(document, {
    Alias: (_key, alias, path) => {
      const isAround = path.some((above) => isCollection(above) && above.anchor === alias.source);
      if (isAround || !anchors.has(alias.source)) offsets.push(alias.range?.[0] ?? 0);
    },
    Collection: (_key, node) => remember(node),
    Scalar: (_key, node) => remember(node),
  });
  return offsets;
}

/** Where a path is in the text; what is not there (a missing key, a merged one) is at the nearest thing around it. */
function offsetOf(document: Document, path: readonly (string | number)[], on: 'key' | 'value'): number {
  let node: unknown = document.contents;
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
  for (const [depth, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    const pair = isMap(node) ? node.items.find((item) => keyOf(item) === String(step)) : undefined;
    const wantsKey = on === 'key' && depth === path.length - 1;
    const keyOffset = pair !== undefined && isNode(pair.key) ? pair.key.range?.[0] : undefined;
    if (isMap(node)) node = pair?.value;
    else if (isSeq(node) && typeof step === 'number') node = node.items[step];
    else return offset;
    const valueOffset = isNode(node) ? node.range?.[0] : undefined;
    offset = (wantsKey ? keyOffset : valueOffset) ?? keyOffset ?? offset;
  }
  return offset;
}

function keyOf(pair: Pair): string | null {
  return isScalar(pair.key) ? String(pair.key.value) : null;
}

/** An element of a document that was read. */
export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly Element[];
  readonly text: string;
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
/** What XML 1.0 can hold, escaped or not. */
const legal = /^[\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]*$/u;

/** Reads what the junit report may consist of, and refuses everything else as a strict parser would. */
export function readXml(document: string): Element {
  if (!legal.test(document)) throw new Error('a character that XML 1.0 forbids');
  const begin = '<?xml version="1.0" encoding="UTF-8"?>';
  if (!document.startsWith(begin)) throw new Error('no XML declaration');
  const open: { name: string; attributes: Record<string, string>; children: Element[]; text: string }[] = [
    { name: '', attributes: {}, children: [], text: '' },
  ];
  for (const [token] of document.slice(begin.length).matchAll(/<[^>]*>|[^<]+|</g)) {
    const top = open.at(-1)!;
    if (!token.startsWith('<')) top.text += decode(token);
    else if (token.startsWith('</')) {
      if (token !== `</${top.name}>` || open.length < 2) throw new Error(`${token} closes ${top.name}`);
      open.pop();
    } else {
      const [, name = '', attributes = '', end] = /^<([a-z-]+)((?: [a-z]+="[^"<]*")*)(\/?)>$/.exec(token) ?? [];
      if (name === '') throw new Error(`no tag: ${token}`);
      const element = { name, attributes: readAttributes(attributes), children: [], text: '' };
      top.children.push(element);
      if (end === '') open.push(element);
    }
  }
  const [root] = open;
  if (open.length !== 1 || root?.children.length !== 1) throw new Error('not one element');
  return root.children[0]!;
}

function readAttributes(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/ ([a-z]+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, decode(value)]);
  if (new Set(pairs.map(([name]) => name)).size !== pairs.length) throw new Error(`an attribute twice:${text}`);
  return Object.fromEntries(pairs);
}

function decode(text: string): string {
  return text.replaceAll(/&([a-z]*;?)/g, (_, name: string) => {
    const found = name.endsWith(';') ? entities[name.slice(0, -1)] : undefined;
    if (found === undefined) throw new Error(`no entity: &${name}`);
    return found;
  });
}

/** All elements of a name, in the order of the document. */
export function findAll(element: Element, name: string): readonly Element[] {
  const own = element.name === name ? [element] : [];
  return [...own, ...element.children.flatMap((child) => findAll(child, name))];
}

import type { Toc } from '../archive/types.ts';

/** A name as PostgreSQL writes it: in quotes where it must be. */
const name = /"(?:[^"]|"")+"|[a-z_\u0080-\uffff][\w$\u0080-\uffff]*/u.source;
const qualifier = new RegExp(`(?<![\\w$".])(${name})\\.`, 'gu');
const reference = new RegExp(`\\bREFERENCES (${name})\\.`, 'u');

/** Does its SQL name one of these schemas? In doubt yes: texts in functions count too. */
export function namesAny(toc: Toc, schemas: ReadonlySet<string>): boolean {
  return (
    schemas.size > 0 &&
    toc.entries.some(({ definition }) => {
      for (const [, found = ''] of (definition ?? '').matchAll(qualifier)) if (schemas.has(unquote(found))) return true;
      return false;
    })
  );
}

/** Schemas outside of the archive that its foreign keys lead to, each with the first of those keys. */
export function findReferences(toc: Toc): ReadonlyMap<string, string> {
  const own = new Set(toc.entries.flatMap(({ kind, tag }) => (kind === 'SCHEMA' ? [tag] : [])));
  const found = new Map<string, string>();
  for (const { kind, tag, definition } of toc.entries) {
    const schema = kind === 'FK CONSTRAINT' ? reference.exec(definition ?? '')?.[1] : undefined;
    if (schema === undefined) continue;
    const plain = unquote(schema);
    if (!own.has(plain) && !found.has(plain)) found.set(plain, tag);
  }
  return found;
}

function unquote(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text;
}

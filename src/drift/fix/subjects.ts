import { textOf } from './fact-values.ts';
import type { FixScope } from './fix-scope.ts';

/** An object that a comment or a grant is about, by the kind and name of its fact. */
export interface Subject {
  readonly kind: string;
  readonly name: string;
}

const typeKinds = ['enum', 'domain', 'range type', 'composite type'];
const onRelation = /^(constraint|trigger|rule|policy) (.+) on (.+)$/s;
const words = [
  'materialized view',
  'foreign table',
  'table',
  'view',
  'sequence',
  'index',
  'function',
  'procedure',
  'aggregate',
  'statistics',
];

/** What the label of a comment or of privileges may mean: `column users.email`, `trigger touch on users`. */
export function subjectsOf(
  label: string,
  side: 'reference' | 'actual',
  scope: Pick<FixScope, 'reference' | 'actual'>,
): readonly Subject[] {
  const [, word, name = '', table = ''] = onRelation.exec(label) ?? [];
  if (word === 'constraint') {
    return [...scope[side].facts.values()]
      .filter((fact) => fact.kind === 'constraint name' && fact.table === table && textOf(fact, 'name') === bare(name))
      .map((fact) => ({ kind: 'constraint', name: fact.name }));
  }
  if (word !== undefined) return [{ kind: word, name: `${table}.${name}` }];
  const type = /^(?:row )?type (.+)$/s.exec(label)?.[1];
  if (type !== undefined) return typeKinds.map((kind) => ({ kind, name: type }));
  const column = /^column (.+)$/s.exec(label)?.[1];
  if (column !== undefined) return [{ kind: 'column', name: column }];
  const kind = words.find((each) => label.startsWith(`${each} `));
  return kind === undefined ? [] : [{ kind, name: label.slice(kind.length + 1) }];
}

function bare(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

/** A label as SQL wants it: an identity's sequence goes by its column in facts. */
export function labelSql(label: string, scope: FixScope): string {
  const word = [...words, 'row type', 'type', 'column'].find((each) => label.startsWith(`${each} `)) ?? '';
  const name = label.slice(word.length + 1);
  if (word === 'sequence') {
    const own = textOf(
      scope.find('reference', 'sequence name', name) ?? scope.find('actual', 'sequence name', name),
      'name',
    );
    if (own !== null) return `SEQUENCE "${own.replaceAll('"', '""')}"`;
  }
  if (word === 'aggregate' && name.endsWith('()')) return `AGGREGATE ${name.slice(0, -1)}*)`;
  return word === '' ? label : `${word.toUpperCase()} ${name}`;
}

import type { Fact } from '../fact.ts';
import { textOf } from './fact-values.ts';
import type { FixScope } from './fix-scope.ts';
import type { KindFix } from './kind-fix.ts';

/** `span as span_multirange`, as CREATE CAST and DROP CAST take it. */
function typesOf({ name }: Fact): string {
  return `(${name.replace(' as ', ' AS ')})`;
}

/** PostgreSQL makes the cast from a range to its multirange, and takes it away with them. */
function isOfRange({ name }: Fact, side: 'missing' | 'extra', scope: FixScope): boolean {
  const [type = ''] = name.split(' as ');
  return side === 'missing' ? scope.isMissing('range type', type) : scope.isDropped('range type', type);
}

export const casts: KindFix = {
  create: (cast, scope) => {
    if (isOfRange(cast, 'missing', scope)) return;
    const method = textOf(cast, 'method');
    const how =
      method === 'inout'
        ? 'WITH INOUT'
        : method === 'binary'
          ? 'WITHOUT FUNCTION'
          : `WITH FUNCTION ${textOf(cast, 'function')}`;
    const context = textOf(cast, 'context') ?? 'explicit';
    scope.add(
      'casts',
      `CREATE CAST ${typesOf(cast)} ${how}${context === 'explicit' ? '' : ` AS ${context.toUpperCase()}`}`,
    );
  },
  drop: (cast, scope) => {
    const isGone = ['enum', 'domain', 'range type', 'composite type'].some((kind) => {
      return cast.name.split(' as ').some((type) => scope.isDropped(kind, type));
    });
    if (!isGone && !isOfRange(cast, 'extra', scope)) scope.add('drop remade', `DROP CAST ${typesOf(cast)}`);
  },
  change: ({ reference, actual }, scope) => {
    casts.drop(actual, scope, { ...nothing, reference, actual });
    casts.create(reference, scope, { ...nothing, reference, actual });
  },
};

const nothing = {
  kind: 'cast',
  name: '',
  table: null,
  class: 'structural',
  change: 'changed',
  attributes: [],
} as const;

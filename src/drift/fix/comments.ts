import type { Fact } from '../fact.ts';
import { quoteLiteral, textOf } from './fact-values.ts';
import type { FixScope } from './fix-scope.ts';
import type { KindFix } from './kind-fix.ts';
import { labelSql, subjectsOf } from './subjects.ts';

export const comments: KindFix = {
  create: (comment, scope) => say(comment, textOf(comment, 'text'), scope),
  drop: (comment, scope) => {
    const isGone = subjectsOf(comment.name, 'actual', scope).some(
      ({ kind, name }) => scope.isDropped(kind, name) || (kind === 'sequence' && scope.isIdentityDropped(name)),
    );
    const isRelationGone = ['table', 'view', 'materialized view'].some((kind) =>
      scope.isDropped(kind, comment.table ?? ''),
    );
    if (!isGone && !isRelationGone) say(comment, null, scope);
  },
  change: ({ reference }, scope) => say(reference, textOf(reference, 'text'), scope),
};

function say({ name }: Fact, text: string | null, scope: FixScope): void {
  const label = labelSql(name, scope);
  const upper = label.replace(/^(?:constraint|trigger|rule|policy) /, (word) => word.toUpperCase());
  scope.add('comments', `COMMENT ON ${upper} IS ${text === null ? 'NULL' : quoteLiteral(text)}`);
}

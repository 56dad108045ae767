import type { Difference } from '../compare.ts';
import type { Fact } from '../fact.ts';
import { bareName, isSet, listOf, optionActions, optionList, textOf } from './fact-values.ts';
import type { FixScope } from './fix-scope.ts';
import { type Changed, differsIn, type KindFix, refuseAttributes } from './kind-fix.ts';
import { setOwner } from './owners.ts';

export function isViewRemade({ attributes }: Difference): boolean {
  return attributes.some(({ name }) => name === 'definition' || name === 'access method' || name === 'persistence');
}

function queryOf(view: Fact): string {
  return (textOf(view, 'definition') ?? '').trim().replace(/;$/, '');
}

/** What a view is set to, as options have it. */
function viewOptions(view: Fact | null): readonly string[] {
  if (view === null) return [];
  const check = textOf(view, 'check option');
  return [
    ...listOf(view, 'options'),
    ...(isSet(view, 'security barrier') ? ['security_barrier=true'] : []),
    ...(isSet(view, 'security invoker') ? ['security_invoker=true'] : []),
    ...(check === null ? [] : [`check_option=${check}`]),
  ];
}

export const views: KindFix = {
  create: (view, scope) => {
    const options = viewOptions(view);
    const given = options.length === 0 ? '' : ` WITH (${optionList(options)})`;
    scope.add('views', `CREATE VIEW ${view.name}${given} AS\n${queryOf(view)}`, { makes: bareName(view.name) });
    setOwner('VIEW', view, scope);
  },
  drop: (view, scope) => {
    scope.add('drop views', `DROP VIEW ${view.name}`, { drops: bareName(view.name), names: queryOf(view) });
  },
  change: (difference, scope) => {
    const { reference, actual, name } = difference;
    if (differsIn(difference, 'owner')) setOwner('VIEW', reference, scope);
    for (const action of optionActions(viewOptions(reference), viewOptions(actual))) {
      scope.add('settings', `ALTER VIEW ${name} ${action}`);
    }
  },
};

export const materializedViews: KindFix = {
  create: (view, scope) => {
    const method = textOf(view, 'access method');
    const options = listOf(view, 'options');
    const tablespace = textOf(view, 'tablespace');
    const head = [
      `CREATE MATERIALIZED VIEW ${view.name}`,
      method === null || method === 'heap' ? '' : `USING ${method}`,
      options.length === 0 ? '' : `WITH (${optionList(options)})`,
      tablespace === null ? '' : `TABLESPACE ${tablespace}`,
      'AS',
    ].filter((part) => part !== '');
    const rows = isSet(view, 'populated') ? 'WITH DATA' : 'WITH NO DATA';
    scope.add('views', `${head.join(' ')}\n${queryOf(view)}\n${rows}`, { makes: bareName(view.name) });
    setOwner('MATERIALIZED VIEW', view, scope);
  },
  drop: (view, scope) => {
    const drop = { drops: bareName(view.name), names: queryOf(view) };
    scope.add('drop views', `DROP MATERIALIZED VIEW ${view.name}`, drop);
  },
  change: changeMaterializedView,
};

function changeMaterializedView(difference: Changed, scope: FixScope): void {
  const { reference, actual, name } = difference;
  const begin = `ALTER MATERIALIZED VIEW ${name}`;
  if (differsIn(difference, 'owner')) setOwner('MATERIALIZED VIEW', reference, scope);
  if (differsIn(difference, 'populated')) {
    scope.add('views', `REFRESH MATERIALIZED VIEW ${name}${isSet(reference, 'populated') ? '' : ' WITH NO DATA'}`);
  }
  for (const action of optionActions(listOf(reference, 'options'), listOf(actual, 'options'))) {
    scope.add('settings', `${begin} ${action}`);
  }
  if (differsIn(difference, 'tablespace')) {
    scope.add('settings', `${begin} SET TABLESPACE ${textOf(reference, 'tablespace') ?? 'pg_default'}`);
  }
  refuseAttributes(
    difference,
    scope,
    ['replica identity', 'toast options'],
    'it is not changed on a materialized view',
  );
}

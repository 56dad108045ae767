import type { Fact } from '../fact.ts';
import { columnSettings, columnSql } from './columns.ts';
import { bareName, isSet, listOf, optionActions, optionList, ownPart, textOf } from './fact-values.ts';
import type { FixScope } from './fix-scope.ts';
import { type Changed, differsIn, type KindFix, refuseAttributes } from './kind-fix.ts';
import { setOwner } from './owners.ts';

export const tables: KindFix = {
  create: createTable,
  drop: (table, scope, difference) => {
    if (!scope.allowDrop) {
      scope.refuse(difference, 'it may hold data: --allow-drop', true);
      return;
    }
    const drop = { drops: bareName(table.name), names: listOf(table, 'inherits').join(' ') };
    scope.add('drop tables', `DROP TABLE ${table.name}`, { ...drop, loses: `table ${table.name} and its rows` });
  },
  change: changeTable,
};

function createTable(table: Fact, scope: FixScope, difference: Parameters<KindFix['create']>[2]): void {
  if (textOf(table, 'of type') !== null) {
    scope.refuse(difference, 'a table of a type is not made');
    return;
  }
  const columns = columnsOf(table, scope);
  const isPartition = textOf(table, 'partition bound') !== null;
  const parents = isPartition ? [] : listOf(table, 'inherits');
  const own = columns.filter((column) => parents.length === 0 || isSet(column, 'local'));
  const method = textOf(table, 'access method');
  const options = [optionList(listOf(table, 'options')), optionList(listOf(table, 'toast options'), 'toast.')];
  const given = options.filter((text) => text !== '').join(', ');
  const partitioning = textOf(table, 'partitioned by');
  const tablespace = textOf(table, 'tablespace');
  const tail = [
    parents.length === 0 ? '' : `INHERITS (${parents.join(', ')})`,
    partitioning === null ? '' : `PARTITION BY ${partitioning}`,
    method === null || method === 'heap' ? '' : `USING ${method}`,
    given === '' ? '' : `WITH (${given})`,
    tablespace === null ? '' : `TABLESPACE ${tablespace}`,
  ].filter((part) => part !== '');
  const kind = textOf(table, 'persistence') === 'unlogged' ? 'UNLOGGED TABLE' : 'TABLE';
  const body = own.map((column) => `\n  ${columnSql(column, scope)}`).join(',');
  const text = [`CREATE ${kind} ${table.name} (${body}${own.length === 0 ? '' : '\n'})`, ...tail].join(' ');
  scope.add('tables', text, { makes: bareName(table.name) });
  for (const column of own) columnSettings(column, scope);
  if (isPartition) attach(table, scope);
  setOwner('TABLE', table, scope);
  setFlags(table, null, scope);
}

/** In the order in which the reference has them. */
function columnsOf(table: Fact, scope: FixScope): readonly Fact[] {
  const order = listOf(scope.find('reference', 'column order', table.name), 'columns');
  const place = (column: Fact) => order.indexOf(bareName(ownPart(column)));
  return scope.factsOf('reference', 'column', table.name).toSorted((a, b) => place(a) - place(b));
}

function attach(table: Fact, scope: FixScope): void {
  const [parent] = listOf(table, 'inherits');
  const bound = textOf(table, 'partition bound');
  // A partition that has partitions of its own is attached when those are.
  scope.add('attach', `ALTER TABLE ${parent} ATTACH PARTITION ${table.name} ${bound}`);
}

function setFlags(reference: Fact, actual: Fact | null, scope: FixScope): void {
  const begin = `ALTER TABLE ${reference.name}`;
  const differs = (name: string) => isSet(reference, name) !== isSet(actual, name);
  if (differs('row security')) {
    scope.add('settings', `${begin} ${isSet(reference, 'row security') ? 'ENABLE' : 'DISABLE'} ROW LEVEL SECURITY`);
  }
  if (differs('row security forced')) {
    scope.add(
      'settings',
      `${begin} ${isSet(reference, 'row security forced') ? 'FORCE' : 'NO FORCE'} ROW LEVEL SECURITY`,
    );
  }
  const identity = textOf(reference, 'replica identity') ?? 'default';
  // An index says so itself.
  if (identity !== (textOf(actual, 'replica identity') ?? 'default') && identity !== 'index') {
    scope.add('settings', `${begin} REPLICA IDENTITY ${identity.toUpperCase()}`);
  }
}

function changeTable(difference: Changed, scope: FixScope): void {
  const { reference, actual, name } = difference;
  const begin = `ALTER TABLE ${name}`;
  if (differsIn(difference, 'owner')) setOwner('TABLE', reference, scope);
  if (differsIn(difference, 'inherits', 'partition bound')) changeParents(reference, actual, scope);
  setFlags(reference, actual, scope);
  if (differsIn(difference, 'persistence')) {
    scope.add(
      'alter columns',
      `${begin} SET ${textOf(reference, 'persistence') === 'unlogged' ? 'UNLOGGED' : 'LOGGED'}`,
    );
  }
  const options = optionActions(listOf(reference, 'options'), listOf(actual, 'options'));
  const toast = optionActions(listOf(reference, 'toast options'), listOf(actual, 'toast options'), 'toast.');
  for (const action of [...options, ...toast]) scope.add('settings', `${begin} ${action}`);
  if (differsIn(difference, 'tablespace')) {
    scope.add('settings', `${begin} SET TABLESPACE ${textOf(reference, 'tablespace') ?? 'pg_default'}`);
  }
  if (differsIn(difference, 'access method') && textOf(reference, 'access method') !== null) {
    scope.add('settings', `${begin} SET ACCESS METHOD ${textOf(reference, 'access method')}`);
  }
  refuseAttributes(
    difference,
    scope,
    ['partitioned by', 'of type', 'detach pending'],
    'only a table made anew can have it: write a migration',
  );
}

function changeParents(reference: Fact, actual: Fact, scope: FixScope): void {
  const [wanted, has] = [listOf(reference, 'inherits'), listOf(actual, 'inherits')];
  const begin = `ALTER TABLE ${reference.name}`;
  if (textOf(actual, 'partition bound') !== null) {
    scope.add('drop constraints', `ALTER TABLE ${has[0]} DETACH PARTITION ${reference.name}`);
  } else
    for (const parent of has.filter((each) => !wanted.includes(each)))
      scope.add('alter columns', `${begin} NO INHERIT ${parent}`);
  if (textOf(reference, 'partition bound') !== null) attach(reference, scope);
  else
    for (const parent of wanted.filter((each) => !has.includes(each)))
      scope.add('attach', `${begin} INHERIT ${parent}`);
}

import { quoteIdentifier } from '../../postgres/identifiers.ts';
import type { Fact } from '../fact.ts';
import { bareName, isSet, listOf, optionActions, ownPart, quoteLiteral, textOf } from './fact-values.ts';
import type { FixScope } from './fix-scope.ts';
import { type Changed, differsIn, type KindFix, refuseAttributes } from './kind-fix.ts';
import { namesIn } from './mentions.ts';
import { isWidening } from './widening.ts';

/** A column as CREATE TABLE and ADD COLUMN take it; what is set by statements of its own is left out. */
export function columnSql(column: Fact, scope: FixScope): string {
  const collation = textOf(column, 'collation');
  const fallback = textOf(column, 'default');
  const parts = [
    ownPart(column),
    textOf(column, 'type') ?? '',
    collation === null ? '' : `COLLATE ${collation}`,
    fallback === null ? '' : `DEFAULT ${fallback}`,
    generatedSql(column),
    identitySql(column, scope),
    isSet(column, 'not null') ? 'NOT NULL' : '',
  ];
  return parts.filter((part) => part !== '').join(' ');
}

function generatedSql(column: Fact): string {
  const how = textOf(column, 'generated');
  return how === null ? '' : `GENERATED ALWAYS AS (${textOf(column, 'expression')}) ${how.toUpperCase()}`;
}

function identitySql(column: Fact, scope: FixScope): string {
  const how = textOf(column, 'identity');
  if (how === null) return '';
  const sequence = textOf(scope.find('reference', 'sequence name', column.name), 'name');
  const name = sequence === null ? '' : `SEQUENCE NAME ${quoteIdentifier(sequence)} `;
  return `GENERATED ${how.toUpperCase()} AS IDENTITY (${name}${textOf(column, 'identity options') ?? ''})`;
}

/** Storage, statistics target and the like of a column that was made just now. */
export function columnSettings(column: Fact, scope: FixScope): void {
  const begin = `ALTER TABLE ${column.table} ALTER COLUMN ${ownPart(column)}`;
  for (const action of settingActions(column, null)) scope.add('alter columns', `${begin} ${action}`);
}

function settingActions(reference: Fact, actual: Fact | null): readonly string[] {
  const differs = (name: string) => textOf(reference, name) !== textOf(actual, name);
  const storage = textOf(reference, 'storage') ?? usualStorage(textOf(reference, 'type') ?? '');
  return [
    ...(differs('storage') ? [`SET STORAGE ${storage.toUpperCase()}`] : []),
    ...(differs('compression') ? [`SET COMPRESSION ${textOf(reference, 'compression') ?? 'default'}`] : []),
    ...(differs('statistics target') ? [`SET STATISTICS ${textOf(reference, 'statistics target') ?? '-1'}`] : []),
    ...optionActions(listOf(reference, 'options'), listOf(actual, 'options')),
  ];
}

/** What a type that can be stored elsewhere has by itself. */
function usualStorage(type: string): string {
  return /^(?:numeric|inet|cidr)\b/.test(type) && !type.endsWith('[]') ? 'main' : 'extended';
}

/** It came from a parent, and comes and goes with that one's. */
function isParents(column: Fact): boolean {
  return !isSet(column, 'local') && Number(textOf(column, 'inherited') ?? 0) > 0;
}

export const columns: KindFix = {
  create: (column, scope) => {
    if (scope.isMissing('table', column.table ?? '') || isParents(column)) return;
    scope.add('columns', `ALTER TABLE ${column.table} ADD COLUMN ${columnSql(column, scope)}`, {
      makes: bareName(ownPart(column)),
    });
    columnSettings(column, scope);
  },
  drop: (column, scope, difference) => {
    if (scope.isDropped('table', column.table ?? '') || isParents(column)) return;
    if (!scope.allowDrop && textOf(column, 'generated') === null) {
      scope.refuse(difference, 'it may hold data: --allow-drop', true);
      return;
    }
    const loses = textOf(column, 'generated') === null ? `column ${column.name} and what is in it` : null;
    scope.add('drop columns', `ALTER TABLE ${column.table} DROP COLUMN ${ownPart(column)}`, { loses });
  },
  change: changeColumn,
};

function changeColumn(difference: Changed, scope: FixScope): void {
  const { reference, actual, table } = difference;
  const begin = `ALTER TABLE ${table} ALTER COLUMN ${ownPart(reference)}`;
  const alter = (action: string, loses: string | null = null) => {
    scope.add('alter columns', `${begin} ${action}`, { loses });
  };
  if (differsIn(difference, 'identity') && textOf(reference, 'identity') === null && !scope.allowDrop) {
    scope.refuse(difference, 'its sequence knows which number comes next: --allow-drop', true);
    return;
  }
  if (differsIn(difference, 'type', 'collation') && !changeType(difference, scope, alter)) return;
  if (differsIn(difference, 'generated', 'expression')) changeGenerated(difference, scope, alter);
  if (differsIn(difference, 'not null')) alter(isSet(reference, 'not null') ? 'SET NOT NULL' : 'DROP NOT NULL');
  changeDefault(difference, alter);
  if (differsIn(difference, 'identity', 'identity options')) changeIdentity(difference, scope, alter);
  if (differsIn(difference, 'identity type') && !differsIn(difference, 'identity', 'type')) {
    refuseAttributes(difference, scope, ['identity type'], 'the sequence of an identity has the type of its column');
  }
  for (const action of settingActions(reference, actual)) alter(action);
  refuseAttributes(difference, scope, ['foreign options'], 'foreign tables are not changed');
  const isOfParents = scope.changeOf('table', table ?? '')?.attributes.some(({ name }) => name === 'inherits') ?? false;
  if (!isOfParents)
    refuseAttributes(difference, scope, ['local', 'inherited'], 'it hangs on the tables that it inherits from');
}

type Alter = (action: string, loses?: string | null) => void;

/** False: it was refused, and nothing else of the column makes sense. */
function changeType(difference: Changed, scope: FixScope, alter: Alter): boolean {
  const { reference, actual, name, table } = difference;
  const [from, to] = [textOf(actual, 'type') ?? '', textOf(reference, 'type') ?? ''];
  const own = bareName(ownPart(reference));
  const generated = scope.factsOf('actual', 'column', table ?? '').find((column) => {
    return namesIn(textOf(column, 'expression') ?? '').has(own);
  });
  if (generated !== undefined) {
    scope.refuse(difference, `the generated column ${generated.name} is made of it`);
    return false;
  }
  const isSafe = isWidening(from, to);
  if (!isSafe && !scope.allowDrop) {
    scope.refuse(difference, `what does not fit ${to} would be lost: --allow-drop`, true);
    return false;
  }
  const collation = textOf(reference, 'collation');
  if (textOf(actual, 'default') !== null) alter('DROP DEFAULT');
  const using = from === to || isAssigned(from, to, scope) ? '' : ` USING ${ownPart(reference)}::${to}`;
  const loses = isSafe ? null : `what of ${name} does not fit ${to}`;
  alter(`TYPE ${to}${collation === null ? '' : ` COLLATE ${collation}`}${using}`, loses);
  return true;
}

/**
 * Does PostgreSQL convert it by itself, as for an INSERT? Then what does not fit is an error; USING would cut texts short
 * without a word.
 */
function isAssigned(from: string, to: string, scope: FixScope): boolean {
  const [source, target] = [from, to].map((type) => baseOf(type, scope)) as [string, string];
  if (target.endsWith('[]') !== source.endsWith('[]')) return false;
  return /^(?:character|text|bpchar)\b/.test(target) || (/^bit\b/.test(target) && /^bit\b/.test(source));
}

/** A domain holds what its base type holds. */
function baseOf(type: string, scope: FixScope): string {
  const base = textOf(scope.find('reference', 'domain', type) ?? scope.find('actual', 'domain', type), 'type');
  return base === null || base === type ? type : baseOf(base, scope);
}

function changeGenerated(difference: Changed, scope: FixScope, alter: Alter): void {
  if (textOf(difference.reference, 'generated') === null) alter('DROP EXPRESSION');
  else
    refuseAttributes(
      difference,
      scope,
      ['generated', 'expression'],
      'every row would be written anew: write a migration',
    );
}

function changeDefault(difference: Changed, alter: Alter): void {
  const fallback = textOf(difference.reference, 'default');
  // A change of type has taken it away.
  const isGone = differsIn(difference, 'type', 'collation') && textOf(difference.actual, 'default') !== null;
  if (fallback !== null && (isGone || differsIn(difference, 'default'))) alter(`SET DEFAULT ${fallback}`);
  else if (fallback === null && !isGone && differsIn(difference, 'default')) alter('DROP DEFAULT');
}

function changeIdentity(difference: Changed, scope: FixScope, alter: Alter): void {
  const { reference, actual, table } = difference;
  const [wanted, has] = [textOf(reference, 'identity'), textOf(actual, 'identity')];
  const column = ownPart(reference);
  if (wanted === null) alter('DROP IDENTITY', `the next number of ${difference.name}`);
  else if (has === null) {
    alter(`ADD ${identitySql(reference, scope)}`);
    // It begins at its start, and the rows that are there have numbers already.
    scope.add(
      'settings',
      `SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence(${quoteLiteral(table ?? '')}, ${quoteLiteral(bareName(column))}), pg_catalog.max(${column})) FROM ${table} HAVING pg_catalog.max(${column}) IS NOT NULL`,
    );
  } else {
    if (wanted !== has) alter(`SET GENERATED ${wanted.toUpperCase()}`);
    const options = textOf(reference, 'identity options') ?? '';
    if (options !== textOf(actual, 'identity options')) {
      alter(options.replaceAll(/\b(?:START|INCREMENT|MINVALUE|MAXVALUE|CACHE|NO CYCLE|(?<!NO )CYCLE)\b/g, 'SET $&'));
    }
  }
}

/** What is set on a column of a view beside its definition. */
export const viewColumns: KindFix = {
  create: (column, scope) => setViewColumn(column, null, scope),
  drop: (column, scope) => {
    const nothing: Fact = { ...column, attributes: {} };
    if (!isViewDropped(column, scope)) setViewColumn(nothing, column, scope);
  },
  change: ({ reference, actual }, scope) => setViewColumn(reference, actual, scope),
};

function isViewDropped({ table }: Fact, scope: FixScope): boolean {
  return scope.isDropped('view', table ?? '') || scope.isDropped('materialized view', table ?? '');
}

function setViewColumn(reference: Fact, actual: Fact | null, scope: FixScope): void {
  const isView = scope.find('reference', 'view', reference.table ?? '') !== null;
  const begin = `ALTER ${isView ? 'VIEW' : 'MATERIALIZED VIEW'} ${reference.table} ALTER COLUMN ${ownPart(reference)}`;
  const fallback = textOf(reference, 'default');
  const actions = settingActions(reference, actual);
  if (fallback !== textOf(actual, 'default')) {
    scope.add('settings', `${begin} ${fallback === null ? 'DROP DEFAULT' : `SET DEFAULT ${fallback}`}`);
  }
  for (const action of actions) scope.add('settings', `${begin} ${action}`);
}

import type { Fact } from '../fact.ts';
import { constraintName, definitionOf } from './constraints.ts';
import { bareName, isSet, listOf, quoteLiteral, textOf } from './fact-values.ts';
import type { FixScope } from './fix-scope.ts';
import { type Changed, differsIn, type KindFix, refuseAttributes } from './kind-fix.ts';
import { setOwner } from './owners.ts';
import { routineName } from './routines.ts';

function dropType(fact: Fact, scope: FixScope): void {
  scope.add('drop rest', `DROP TYPE ${fact.name}`);
}

export const enums: KindFix = {
  create: (fact, scope) => {
    const labels = listOf(fact, 'labels').map(quoteLiteral);
    scope.add('types', `CREATE TYPE ${fact.name} AS ENUM (${labels.join(', ')})`, { makes: bareName(fact.name) });
    setOwner('TYPE', fact, scope);
  },
  drop: dropType,
  change: (difference, scope) => {
    if (differsIn(difference, 'owner')) setOwner('TYPE', difference.reference, scope);
    if (differsIn(difference, 'labels')) addLabels(difference, scope);
  },
};

function addLabels(difference: Changed, scope: FixScope): void {
  const [wanted, has] = [listOf(difference.reference, 'labels'), listOf(difference.actual, 'labels')];
  const kept = wanted.filter((label) => has.includes(label));
  if (kept.join('\0') !== has.join('\0')) {
    const why = has.length > kept.length ? 'a label of an enum cannot be removed' : 'labels of an enum cannot be moved';
    refuseAttributes(difference, scope, ['labels'], why);
    return;
  }
  wanted.forEach((label, index) => {
    if (has.includes(label)) return;
    const before = wanted[index - 1];
    const next = wanted.slice(index + 1).find((other) => has.includes(other));
    const place =
      before !== undefined
        ? ` AFTER ${quoteLiteral(before)}`
        : next === undefined
          ? ''
          : ` BEFORE ${quoteLiteral(next)}`;
    // One after the other, whatever they are called.
    scope.add('types', `ALTER TYPE ${difference.name} ADD VALUE ${quoteLiteral(label)}${place}`, { names: '' });
  });
}

export const domains: KindFix = {
  create: (fact, scope) => {
    const [collation, fallback] = [textOf(fact, 'collation'), textOf(fact, 'default')];
    const parts = [
      `CREATE DOMAIN ${fact.name} AS ${textOf(fact, 'type')}`,
      collation === null ? '' : `COLLATE ${collation}`,
      fallback === null ? '' : `DEFAULT ${fallback}`,
      isSet(fact, 'not null') ? 'NOT NULL' : '',
    ];
    scope.add('types', parts.filter((part) => part !== '').join(' '), { makes: bareName(fact.name) });
    setOwner('DOMAIN', fact, scope);
  },
  drop: (fact, scope) => scope.add('drop rest', `DROP DOMAIN ${fact.name}`),
  change: (difference, scope) => {
    const { reference, name } = difference;
    const fallback = textOf(reference, 'default');
    if (differsIn(difference, 'owner')) setOwner('DOMAIN', reference, scope);
    if (differsIn(difference, 'not null')) {
      scope.add('alter columns', `ALTER DOMAIN ${name} ${isSet(reference, 'not null') ? 'SET' : 'DROP'} NOT NULL`);
    }
    if (differsIn(difference, 'default')) {
      scope.add(
        'alter columns',
        `ALTER DOMAIN ${name} ${fallback === null ? 'DROP DEFAULT' : `SET DEFAULT ${fallback}`}`,
      );
    }
    refuseAttributes(difference, scope, ['type', 'collation'], 'columns are made of it: write a migration');
  },
};

function domainOf({ name }: Fact): string {
  return name.slice(0, name.indexOf(': '));
}

export const domainConstraints: KindFix = {
  create: (fact, scope) => {
    const mark = isSet(fact, 'validated') ? '' : ' NOT VALID';
    const name = constraintName(fact, 'reference', scope);
    scope.add('alter columns', `ALTER DOMAIN ${domainOf(fact)} ADD CONSTRAINT ${name} ${definitionOf(fact)}${mark}`);
  },
  drop: (fact, scope) => {
    if (scope.isDropped('domain', domainOf(fact))) return;
    scope.add(
      'drop constraints',
      `ALTER DOMAIN ${domainOf(fact)} DROP CONSTRAINT ${constraintName(fact, 'actual', scope)}`,
    );
  },
  change: ({ reference }, scope) => {
    const name = constraintName(reference, 'reference', scope);
    scope.add('foreign keys', `ALTER DOMAIN ${domainOf(reference)} VALIDATE CONSTRAINT ${name}`);
  },
};

export const compositeTypes: KindFix = {
  create: (fact, scope) => {
    const attributes = listOf(fact, 'attributes').join(', ');
    scope.add('types', `CREATE TYPE ${fact.name} AS (${attributes})`, { makes: bareName(fact.name) });
    setOwner('TYPE', fact, scope);
  },
  drop: dropType,
  change: (difference, scope) => {
    if (differsIn(difference, 'owner')) setOwner('TYPE', difference.reference, scope);
    if (differsIn(difference, 'attributes')) changeAttributes(difference, scope);
  },
};

function changeAttributes(difference: Changed, scope: FixScope): void {
  const nameOf = (attribute: string) => /^(?:"(?:[^"]|"")*"|\S+)/.exec(attribute)?.[0] ?? attribute;
  const [wanted, has] = [listOf(difference.reference, 'attributes'), listOf(difference.actual, 'attributes')];
  const names = { wanted: wanted.map(nameOf), has: has.map(nameOf) };
  const gone = names.has.filter((name) => !names.wanted.includes(name));
  if (gone.length > 0 && !scope.allowDrop) {
    const why = `columns may hold data in ${gone.join(', ')}: --allow-drop`;
    scope.refuse(difference, why, true);
    return;
  }
  const come = wanted.filter((attribute) => !names.has.includes(nameOf(attribute)));
  const after = [...names.has.filter((name) => !gone.includes(name)), ...come.map(nameOf)];
  if (after.join('\0') !== names.wanted.join('\0')) {
    refuseAttributes(difference, scope, ['attributes'], 'their order is a part of the type');
    return;
  }
  if (gone.length > 0 && !scope.allowDrop) {
    scope.refuse(difference, 'columns of the type may hold data: --allow-drop', true);
    return;
  }
  const alter = (action: string, loses: string | null = null) => {
    scope.add('types', `ALTER TYPE ${difference.name} ${action}`, { loses, names: '' });
  };
  for (const name of gone) alter(`DROP ATTRIBUTE ${name}`, `attribute ${name} of type ${difference.name}`);
  for (const attribute of wanted) {
    const name = nameOf(attribute);
    if (names.has.includes(name) && !has.includes(attribute)) {
      alter(`ALTER ATTRIBUTE ${name} TYPE ${attribute.slice(name.length + 1)}`);
    }
  }
  for (const attribute of come) alter(`ADD ATTRIBUTE ${attribute}`);
}

export const rangeTypes: KindFix = {
  create: (fact, scope) => {
    const callable = (attribute: string) => {
      const signature = textOf(fact, attribute);
      return signature === null ? null : routineName(signature);
    };
    const options = [
      ['SUBTYPE', textOf(fact, 'subtype')],
      ['SUBTYPE_OPCLASS', textOf(fact, 'operator class')],
      ['COLLATION', textOf(fact, 'collation')],
      ['CANONICAL', callable('canonical function')],
      ['SUBTYPE_DIFF', callable('difference function')],
      ['MULTIRANGE_TYPE_NAME', textOf(fact, 'multirange type')],
    ].flatMap(([option, value]) => (value === null ? [] : [`${option} = ${value}`]));
    scope.add('types', `CREATE TYPE ${fact.name} AS RANGE (${options.join(', ')})`, { makes: bareName(fact.name) });
    setOwner('TYPE', fact, scope);
  },
  drop: dropType,
  change: (difference, scope) => {
    if (differsIn(difference, 'owner')) setOwner('TYPE', difference.reference, scope);
    const others = difference.attributes.map(({ name }) => name).filter((name) => name !== 'owner');
    refuseAttributes(difference, scope, others, 'columns are made of it: write a migration');
  },
};

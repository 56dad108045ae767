import type { Difference } from '../compare.ts';
import type { Fact } from '../fact.ts';
import { definitionOf } from './constraints.ts';
import { isSet, listOf, ownPart, textOf } from './fact-values.ts';
import { roleSql } from './fill-in.ts';
import type { FixScope } from './fix-scope.ts';
import { differsIn, type KindFix, refuseAttributes } from './kind-fix.ts';

/** What a trigger, rule or policy belongs to is dropped, and takes it along. */
function isRelationDropped({ table }: Fact, scope: FixScope): boolean {
  return ['table', 'view', 'materialized view', 'foreign table'].some((kind) => scope.isDropped(kind, table ?? ''));
}

const enabling: Readonly<Record<string, string>> = {
  enabled: 'ENABLE',
  disabled: 'DISABLE',
  replica: 'ENABLE REPLICA',
  always: 'ENABLE ALWAYS',
};

function enable(word: 'TRIGGER' | 'RULE', fact: Fact, scope: FixScope): void {
  const how = enabling[textOf(fact, 'enabled') ?? 'enabled'];
  scope.add('settings', `ALTER TABLE ${fact.table} ${how} ${word} ${ownPart(fact)}`);
}

export function isTriggerRemade({ attributes }: Difference): boolean {
  return attributes.some(({ name }) => name === 'definition');
}

export const triggers: KindFix = {
  create: (trigger, scope) => {
    // A partition gets it from its parent.
    if (isSet(trigger, 'inherited')) return;
    scope.add('triggers', definitionOf(trigger));
    if (textOf(trigger, 'enabled') !== 'enabled') enable('TRIGGER', trigger, scope);
  },
  drop: (trigger, scope) => {
    if (isSet(trigger, 'inherited') || isRelationDropped(trigger, scope)) return;
    scope.add('drop triggers', `DROP TRIGGER ${ownPart(trigger)} ON ${trigger.table}`);
  },
  change: (difference, scope) => {
    if (differsIn(difference, 'enabled')) enable('TRIGGER', difference.reference, scope);
    refuseAttributes(difference, scope, ['inherited'], 'it hangs on the table’s parent');
  },
};

export const rules: KindFix = {
  create: (rule, scope) => {
    scope.add('triggers', ruleSql(rule));
    if (textOf(rule, 'enabled') !== 'enabled') enable('RULE', rule, scope);
  },
  drop: (rule, scope) => {
    if (!isRelationDropped(rule, scope)) scope.add('drop triggers', `DROP RULE ${ownPart(rule)} ON ${rule.table}`);
  },
  change: (difference, scope) => {
    if (differsIn(difference, 'definition')) scope.add('triggers', ruleSql(difference.reference));
    if (differsIn(difference, 'enabled')) enable('RULE', difference.reference, scope);
  },
};

function ruleSql(rule: Fact): string {
  return definitionOf(rule)
    .trim()
    .replace(/;$/, '')
    .replace(/^CREATE RULE /, 'CREATE OR REPLACE RULE ');
}

/** ALTER POLICY changes neither what it is for nor takes an expression away. */
export function isPolicyRemade({ attributes }: Difference): boolean {
  return attributes.some(({ name, reference }) => {
    return name === 'command' || name === 'permissive' || (name !== 'roles' && reference === null);
  });
}

function policyClauses(policy: Fact): string {
  const [using, check] = [textOf(policy, 'using'), textOf(policy, 'with check')];
  const roles = listOf(policy, 'roles').map(roleSql).join(', ');
  return `TO ${roles}${using === null ? '' : ` USING (${using})`}${check === null ? '' : ` WITH CHECK (${check})`}`;
}

export const policies: KindFix = {
  create: (policy, scope) => {
    const how = isSet(policy, 'permissive') ? 'PERMISSIVE' : 'RESTRICTIVE';
    const head = `CREATE POLICY ${ownPart(policy)} ON ${policy.table} AS ${how} FOR ${textOf(policy, 'command')}`;
    scope.add('triggers', `${head} ${policyClauses(policy)}`);
  },
  drop: (policy, scope) => {
    if (isRelationDropped(policy, scope)) return;
    scope.add('drop triggers', `DROP POLICY ${ownPart(policy)} ON ${policy.table}`);
  },
  change: ({ reference }, scope) => {
    scope.add('triggers', `ALTER POLICY ${ownPart(reference)} ON ${reference.table} ${policyClauses(reference)}`);
  },
};

/** That a table, or the schema, is published. */
export const publications: KindFix = {
  create: (member, scope) => publish('ADD', member, scope),
  drop: (member, scope) => {
    if (!isRelationDropped(member, scope)) publish('DROP', member, scope);
  },
  change: ({ reference, actual }, scope) => {
    publish('DROP', actual, scope);
    publish('ADD', reference, scope);
  },
};

function publish(doing: 'ADD' | 'DROP', member: Fact, scope: FixScope): void {
  const table = member.table ?? 'schema';
  const publication = roleSql(member.name.slice(0, -`: ${table}`.length));
  const columns = listOf(member, 'columns').map((column) => `"${column.replaceAll('"', '""')}"`);
  const where = textOf(member, 'where');
  const details = `${columns.length === 0 ? '' : ` (${columns.join(', ')})`}${where === null ? '' : ` WHERE (${where})`}`;
  const what =
    member.table === null ? 'TABLES IN SCHEMA "{schema}"' : `TABLE ${table}${doing === 'ADD' ? details : ''}`;
  scope.add(doing === 'ADD' ? 'triggers' : 'drop triggers', `ALTER PUBLICATION ${publication} ${doing} ${what}`);
}

import { quoteIdentifier } from '../../postgres/identifiers.ts';
import type { Difference } from '../compare.ts';
import type { Fact } from '../fact.ts';
import { isSet, listOf, optionActions, optionList, textOf } from './fact-values.ts';
import type { FixScope } from './fix-scope.ts';
import { type Changed, differsIn, type KindFix, refuseAttributes } from './kind-fix.ts';

/** A constraint by the name that it has now, or is to have. */
export function constraintName(constraint: Fact, side: 'reference' | 'actual', scope: FixScope): string {
  const name = textOf(scope.find(side, 'constraint name', constraint.name), 'name');
  return quoteIdentifier(name ?? '');
}

/** Can only another one in its place be what the reference wants? */
export function isConstraintRemade({ attributes, reference, actual }: Difference): boolean {
  const isForeignKey = definitionOf(reference).startsWith('FOREIGN KEY');
  return attributes.some(({ name }) => {
    if (name === 'validated') return !isSet(reference, 'validated');
    if (name === 'deferrable' || name === 'deferred') return !isForeignKey;
    if (name === 'enabled') return isSet(reference, 'enabled');
    return (name === 'index valid' || name === 'index ready') && !isSet(actual, name);
  });
}

export function definitionOf(fact: Fact | null): string {
  return textOf(fact, 'definition') ?? '';
}

/** It came from the table's parent, and comes and goes with that one's. */
function isParents(constraint: Fact): boolean {
  return !isSet(constraint, 'local') && Number(textOf(constraint, 'inherited') ?? 0) > 0;
}

function phaseOf(
  constraint: Fact,
  doing: 'drop' | 'add',
): 'drop foreign keys' | 'drop constraints' | 'foreign keys' | 'constraints' {
  const isForeignKey = definitionOf(constraint).startsWith('FOREIGN KEY');
  if (doing === 'drop') return isForeignKey ? 'drop foreign keys' : 'drop constraints';
  return isForeignKey ? 'foreign keys' : 'constraints';
}

export const constraints: KindFix = {
  create: createConstraint,
  drop: (constraint, scope) => {
    const isForeignKey = definitionOf(constraint).startsWith('FOREIGN KEY');
    if (isParents(constraint) || (scope.isDropped('table', constraint.table ?? '') && !isForeignKey)) return;
    const name = constraintName(constraint, 'actual', scope);
    scope.add(phaseOf(constraint, 'drop'), `ALTER TABLE ${constraint.table} DROP CONSTRAINT ${name}`);
  },
  change: changeConstraint,
};

function createConstraint(constraint: Fact, scope: FixScope): void {
  const definition = definitionOf(constraint);
  if (isParents(constraint) && !isOfNewPartition(constraint, scope)) return;
  const name = constraintName(constraint, 'reference', scope);
  const options = listOf(constraint, 'options');
  const tablespace = textOf(constraint, 'tablespace');
  const withOptions = options.length === 0 ? '' : ` WITH (${optionList(options)})`;
  const storage = `${withOptions}${tablespace === null ? '' : ` USING INDEX TABLESPACE ${tablespace}`}`;
  const marks = [
    isSet(constraint, 'deferrable') ? 'DEFERRABLE' : '',
    isSet(constraint, 'deferred') ? 'INITIALLY DEFERRED' : '',
    constraint.attributes.enforced === false ? 'NOT ENFORCED' : isSet(constraint, 'validated') ? '' : 'NOT VALID',
  ].filter((mark) => mark !== '');
  // What PostgreSQL prints of an index's storage stands in the definition already.
  const body = storage === '' || definition.includes(' WITH (') ? definition : `${definition}${storage}`;
  scope.add(
    phaseOf(constraint, 'add'),
    [`ALTER TABLE ${constraint.table} ADD CONSTRAINT ${name} ${body}`, ...marks].join(' '),
  );
  setIndexMarks(constraint, null, name, scope);
}

/** A partition that is made anew has all that its parent wants, or could not be attached; foreign keys come by that. */
function isOfNewPartition(constraint: Fact, scope: FixScope): boolean {
  const table = scope.find('reference', 'table', constraint.table ?? '');
  const isPartition = scope.isMissing('table', constraint.table ?? '') && textOf(table, 'partition bound') !== null;
  return isPartition && !definitionOf(constraint).startsWith('FOREIGN KEY');
}

/** CLUSTER ON and REPLICA IDENTITY USING, of a constraint's index or one of its own. */
export function setIndexMarks(reference: Fact, actual: Fact | null, name: string, scope: FixScope): void {
  const begin = `ALTER TABLE ${reference.table}`;
  const differs = (mark: string) => isSet(reference, mark) !== isSet(actual, mark);
  const isView = scope.find('reference', 'materialized view', reference.table ?? '') !== null;
  const cluster = isView ? `ALTER MATERIALIZED VIEW ${reference.table}` : begin;
  if (differs('clustered')) {
    // Another one that is clustered takes it away from this one.
    if (isSet(reference, 'clustered')) scope.add('settings', `${cluster} CLUSTER ON ${name}`);
    else if (!hasClustered(reference, scope)) scope.add('settings', `${cluster} SET WITHOUT CLUSTER`);
  }
  if (differs('replica identity') && isSet(reference, 'replica identity')) {
    scope.add('settings', `${begin} REPLICA IDENTITY USING INDEX ${name}`);
  }
}

function hasClustered({ table }: Fact, scope: FixScope): boolean {
  return ['index', 'constraint'].some((kind) => {
    return scope.factsOf('reference', kind, table ?? '').some((fact) => isSet(fact, 'clustered'));
  });
}

function changeConstraint(difference: Changed, scope: FixScope): void {
  const { reference, actual, table } = difference;
  const name = constraintName(reference, 'reference', scope);
  const begin = `ALTER TABLE ${table}`;
  if (differsIn(difference, 'validated')) scope.add('foreign keys', `${begin} VALIDATE CONSTRAINT ${name}`);
  if (differsIn(difference, 'deferrable', 'deferred')) {
    const when = isSet(reference, 'deferred') ? ' INITIALLY DEFERRED' : ' INITIALLY IMMEDIATE';
    const how = isSet(reference, 'deferrable') ? `DEFERRABLE${when}` : 'NOT DEFERRABLE';
    scope.add('constraints', `${begin} ALTER CONSTRAINT ${name} ${how}`);
  }
  for (const action of optionActions(listOf(reference, 'options'), listOf(actual, 'options'))) {
    scope.add('settings', `ALTER INDEX ${name} ${action}`);
  }
  if (differsIn(difference, 'tablespace')) {
    scope.add('settings', `ALTER INDEX ${name} SET TABLESPACE ${textOf(reference, 'tablespace') ?? 'pg_default'}`);
  }
  setIndexMarks(reference, actual, name, scope);
  refuseAttributes(
    difference,
    scope,
    ['enabled', 'enforced', 'index valid', 'index ready'],
    'it is not made so on purpose',
  );
  const parents = scope.changeOf('table', table ?? '')?.attributes.some((each) => each.name === 'inherits') ?? false;
  if (!parents)
    refuseAttributes(difference, scope, ['local', 'inherited'], 'it hangs on the tables that it inherits from');
}

/** Names of constraints of tables and of domains. */
export const constraintNames: KindFix = {
  // It comes and goes with its constraint.
  create: () => {},
  drop: () => {},
  change: (difference, scope) => {
    const { reference, actual, table, name } = difference;
    const isDomains = table === null;
    const kind = isDomains ? 'domain constraint' : 'constraint';
    if (scope.isMissing(kind, name)) return;
    const constraint = scope.find('actual', kind, name);
    if (constraint !== null && Number(textOf(constraint, 'inherited') ?? 0) > 0) {
      scope.refuse(difference, 'the name of an inherited constraint is that of its parent');
      return;
    }
    const owner = isDomains ? `DOMAIN ${name.slice(0, name.indexOf(': '))}` : `TABLE ${table}`;
    const [from, to] = [textOf(actual, 'name') ?? '', textOf(reference, 'name') ?? ''];
    scope.add('rename', `ALTER ${owner} RENAME CONSTRAINT ${quoteIdentifier(from)} TO ${quoteIdentifier(to)}`);
  },
};

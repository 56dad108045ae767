import type { Fact } from '../fact.ts';
import { listOf, ownPart, textOf } from './fact-values.ts';
import { roleSql } from './fill-in.ts';
import type { FixScope } from './fix-scope.ts';
import type { KindFix } from './kind-fix.ts';
import { labelSql, subjectsOf } from './subjects.ts';

interface Grant {
  readonly right: string;
  readonly role: string;
  readonly mayGrant: boolean;
}

const optionMark = ' with grant option';

function parse(line: string): Grant {
  const mayGrant = line.endsWith(optionMark);
  const text = mayGrant ? line.slice(0, -optionMark.length) : line;
  const at = text.indexOf(' to ');
  return { right: text.slice(0, at), role: text.slice(at + 4), mayGrant };
}

const tableRights = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'];

/** What the owner of a new object has, what everybody has, and whose default privileges count for it. */
function builtIn(
  label: string,
  major: number,
): { readonly owner: readonly string[]; readonly everybody: readonly string[]; readonly made: string } {
  if (/^(?:table|view|materialized view|foreign table) /.test(label)) {
    return { owner: major >= 17 ? [...tableRights, 'MAINTAIN'] : tableRights, everybody: [], made: 'tables' };
  }
  if (label.startsWith('sequence ')) return { owner: ['USAGE', 'SELECT', 'UPDATE'], everybody: [], made: 'sequences' };
  if (/^(?:function|procedure|aggregate) /.test(label))
    return { owner: ['EXECUTE'], everybody: ['EXECUTE'], made: 'functions' };
  if (/^(?:row )?type /.test(label)) return { owner: ['USAGE'], everybody: ['USAGE'], made: 'types' };
  return { owner: [], everybody: [], made: '' };
}

export const privileges: KindFix = {
  create: (fact, scope) => {
    const isColumn = fact.name.startsWith('column ');
    const has = isColumn || !isMade(fact, scope) ? [] : assumed(fact, scope);
    apply(fact, listOf(fact, 'grants').map(parse), has, scope);
  },
  drop: (fact, scope) => {
    if (!isGone(fact, scope)) apply(fact, [], listOf(fact, 'grants').map(parse), scope);
  },
  change: ({ reference, actual }, scope) => {
    const [wanted, has] = [listOf(reference, 'grants').map(parse), listOf(actual, 'grants').map(parse)];
    const owners = { reference: ownerOf(reference, 'reference', scope), actual: ownerOf(reference, 'actual', scope) };
    // Who gets an object gets the rights that its owner had.
    const after = has.map((grant) =>
      grant.role === owners.actual && owners.reference !== null ? { ...grant, role: owners.reference } : grant,
    );
    apply(reference, wanted, after, scope);
  },
};

/** Is the object that the grants are about made by this fix? */
function isMade(fact: Fact, scope: FixScope): boolean {
  return subjectsOf(fact.name, 'reference', scope).some(({ kind, name }) => {
    return scope.isMissing(kind, name) || (kind === 'sequence' && scope.isMissing('column', name));
  });
}

function isGone(fact: Fact, scope: FixScope): boolean {
  const isDropped = subjectsOf(fact.name, 'actual', scope).some(
    ({ kind, name }) => scope.isDropped(kind, name) || (kind === 'sequence' && scope.isIdentityDropped(name)),
  );
  return isDropped || ['table', 'view', 'materialized view'].some((kind) => scope.isDropped(kind, fact.table ?? ''));
}

function ownerOf(fact: Fact, side: 'reference' | 'actual', scope: FixScope): string | null {
  const subjects = fact.name === 'schema' ? [{ kind: 'schema', name: 'schema' }] : subjectsOf(fact.name, side, scope);
  for (const { kind, name } of subjects) {
    const owner = textOf(scope.find(side, kind, name), 'owner');
    if (owner !== null) return owner;
  }
  return null;
}

/** What a new object's list has: the built-in one, and what default privileges of the schema may add to it. */
function assumed(fact: Fact, scope: FixScope): readonly Grant[] {
  const { owner, everybody, made } = builtIn(fact.name, scope.reference.major);
  const role = ownerOf(fact, 'reference', scope);
  const byDefault = [...scope.actual.facts.values()]
    .filter(({ kind, name }) => kind === 'default privileges' && name.startsWith(`${made} made by `))
    .flatMap((each) => listOf(each, 'grants').map(parse));
  const mayGrant = false;
  return [
    ...(role === null ? [] : owner.map((right) => ({ right, role, mayGrant }))),
    ...everybody.map((right) => ({ right, role: 'PUBLIC', mayGrant })),
    ...byDefault.map((grant) => ({ ...grant, isUnsure: true })),
  ];
}

function target(fact: Fact, scope: FixScope): string {
  const { name } = fact;
  if (name === 'schema') return 'SCHEMA "{schema}"';
  if (name.startsWith('column ')) return `TABLE ${fact.table}`;
  const label = labelSql(name, scope);
  return label
    .replace(/^(?:MATERIALIZED VIEW|FOREIGN TABLE|VIEW) /, 'TABLE ')
    .replace(/^ROW TYPE /, 'TYPE ')
    .replace(/^AGGREGATE (.*?)\(\*\)$/s, 'FUNCTION $1()')
    .replace(/^AGGREGATE /, 'FUNCTION ');
}

function apply(fact: Fact, wanted: readonly Grant[], has: readonly Grant[], scope: FixScope): void {
  const of = fact.name.startsWith('column ')
    ? ` (${ownPart({ ...fact, name: fact.name.slice('column '.length) })})`
    : '';
  const rights = ({ right }: Grant) => `${right}${of}`;
  const on = target(fact, scope);
  for (const { phase, grants, begin, end } of changes(wanted, has)) {
    for (const [role, some] of Map.groupBy(grants, (grant) => grant.role)) {
      scope.add(
        phase,
        `${begin} ${some.map(rights).join(', ')} ON ${on} ${phase === 'grants' ? 'TO' : 'FROM'} ${roleSql(role)}${end}`,
      );
    }
  }
}

interface GrantChange {
  readonly phase: 'revokes' | 'grants';
  readonly grants: readonly Grant[];
  readonly begin: string;
  readonly end: string;
}

function changes(wanted: readonly Grant[], has: readonly Grant[]): readonly GrantChange[] {
  const same = (one: Grant, other: Grant) => one.right === other.right && one.role === other.role;
  // What default privileges may have added is taken away where it is not wanted, and given where it is.
  const gone = has.filter((grant) => !wanted.some((each) => same(each, grant)));
  const tooMuch = has.filter((grant) => grant.mayGrant && wanted.some((each) => same(each, grant) && !each.mayGrant));
  const sure = has.filter((grant) => !('isUnsure' in grant));
  const come = wanted.filter((grant) => !sure.some((each) => same(each, grant) && (each.mayGrant || !grant.mayGrant)));
  return [
    { phase: 'revokes', grants: gone, begin: 'REVOKE', end: '' },
    { phase: 'revokes', grants: tooMuch, begin: 'REVOKE GRANT OPTION FOR', end: '' },
    { phase: 'grants', grants: come.filter(({ mayGrant }) => !mayGrant), begin: 'GRANT', end: '' },
    { phase: 'grants', grants: come.filter(({ mayGrant }) => mayGrant), begin: 'GRANT', end: ' WITH GRANT OPTION' },
  ];
}

/** `tables made by deploy`: what new objects of a role in this schema get. */
export const defaultPrivileges: KindFix = {
  create: (fact, scope) => applyDefaults(fact, listOf(fact, 'grants').map(parse), [], scope),
  drop: (fact, scope) => applyDefaults(fact, [], listOf(fact, 'grants').map(parse), scope),
  change: ({ reference, actual }, scope) => {
    applyDefaults(reference, listOf(reference, 'grants').map(parse), listOf(actual, 'grants').map(parse), scope);
  },
};

function applyDefaults(fact: Fact, wanted: readonly Grant[], has: readonly Grant[], scope: FixScope): void {
  const at = fact.name.indexOf(' made by ');
  const [what, maker] = [fact.name.slice(0, at).toUpperCase(), fact.name.slice(at + ' made by '.length)];
  const begin = `ALTER DEFAULT PRIVILEGES FOR ROLE ${roleSql(maker)} IN SCHEMA "{schema}"`;
  for (const { phase, grants, begin: verb, end } of changes(wanted, has)) {
    for (const [role, some] of Map.groupBy(grants, (grant) => grant.role)) {
      const rights = some.map(({ right }) => right).join(', ');
      scope.add(
        'default privileges',
        `${begin} ${verb} ${rights} ON ${what} ${phase === 'grants' ? 'TO' : 'FROM'} ${roleSql(role)}${end}`,
      );
    }
  }
}

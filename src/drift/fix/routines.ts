import type { Difference } from '../compare.ts';
import type { Fact } from '../fact.ts';
import { bareName, isSet, listOf, quoteLiteral, textOf } from './fact-values.ts';
import type { FixScope } from './fix-scope.ts';
import { differsIn, type KindFix } from './kind-fix.ts';
import { setOwner } from './owners.ts';

/** The name of `f(integer)` without its arguments. */
export function routineName(signature: string): string {
  const end = signature.startsWith('"') ? /^"(?:[^"]|"")*"/.exec(signature)?.[0].length : signature.indexOf('(');
  return signature.slice(0, end);
}

/** CREATE OR REPLACE keeps what stands on a function, and cannot change what those rely on. */
export function isFunctionRemade({ attributes }: Difference): boolean {
  return attributes.some(({ name }) => name === 'returns' || name === 'arguments' || name === 'window');
}

export function isAggregateRemade({ attributes }: Difference): boolean {
  return attributes.some(({ name }) => name !== 'owner');
}

function routine(word: 'FUNCTION' | 'PROCEDURE'): KindFix {
  return {
    create: (fact, scope) => {
      create(word, fact, scope);
      setOwner(word, fact, scope);
    },
    drop: (fact, scope) => {
      const phase = scope.isExtra(word.toLowerCase(), fact.name) ? 'drop rest' : 'drop remade';
      scope.add(phase, `DROP ${word} ${fact.name}`);
    },
    change: (difference, scope) => {
      if (difference.attributes.some(({ name }) => name !== 'owner')) create(word, difference.reference, scope);
      if (differsIn(difference, 'owner')) setOwner(word, difference.reference, scope);
    },
  };
}

export const functions = routine('FUNCTION');
export const procedures = routine('PROCEDURE');

function create(word: 'FUNCTION' | 'PROCEDURE', fact: Fact, scope: FixScope): void {
  const name = routineName(fact.name);
  const signature = `${name}(${textOf(fact, 'arguments') ?? ''})`;
  const returns = textOf(fact, 'returns');
  const head = [
    `CREATE OR REPLACE ${word} ${signature}`,
    ...(word === 'FUNCTION' && returns !== null ? [`RETURNS ${returns}`] : []),
    `LANGUAGE ${textOf(fact, 'language')}`,
    ...transformsOf(fact),
    ...(word === 'FUNCTION' ? behaviourOf(fact) : []),
    ...(isSet(fact, 'security definer') ? ['SECURITY DEFINER'] : []),
    ...listOf(fact, 'settings').map(settingSql),
  ];
  const body = isSet(fact, 'sql body') ? textOf(fact, 'definition') : `AS ${bodySql(fact)}`;
  // What a body of text names is not looked at before it runs.
  const names = `${signature} ${returns ?? ''} ${isSet(fact, 'sql body') ? body : ''}`;
  scope.add('routines', `${head.join('\n ')}\n${body}`, { makes: bareName(name), names });
}

function transformsOf(fact: Fact): readonly string[] {
  const types = listOf(fact, 'transforms').map((type) => `FOR TYPE ${type}`);
  return types.length === 0 ? [] : [`TRANSFORM ${types.join(', ')}`];
}

function behaviourOf(fact: Fact): readonly string[] {
  const rows = textOf(fact, 'rows') ?? '0';
  const support = textOf(fact, 'support');
  return [
    ...(isSet(fact, 'window') ? ['WINDOW'] : []),
    (textOf(fact, 'volatility') ?? 'volatile').toUpperCase(),
    ...(isSet(fact, 'strict') ? ['STRICT'] : []),
    ...(isSet(fact, 'leakproof') ? ['LEAKPROOF'] : []),
    `PARALLEL ${(textOf(fact, 'parallel') ?? 'unsafe').toUpperCase()}`,
    `COST ${textOf(fact, 'cost')}`,
    ...(rows === '0' ? [] : [`ROWS ${rows}`]),
    ...(support === null ? [] : [`SUPPORT ${routineName(support)}`]),
  ];
}

/** Their values are lists of names, which PostgreSQL keeps as they would be written. */
const listSettings = new Set([
  'search_path',
  'temp_tablespaces',
  'local_preload_libraries',
  'session_preload_libraries',
  'shared_preload_libraries',
]);

function settingSql(setting: string): string {
  const at = setting.indexOf('=');
  const [name, value] = [setting.slice(0, at), setting.slice(at + 1)];
  if (!listSettings.has(name.toLowerCase())) return `SET ${name} TO ${quoteLiteral(value)}`;
  return `SET ${name} TO ${value.replaceAll(/(?<!")\{schema\}(?!")/g, '"{schema}"')}`;
}

function bodySql(fact: Fact): string {
  const definition = textOf(fact, 'definition') ?? '';
  const library = textOf(fact, 'library');
  if (library !== null) return `${quoteLiteral(library)}, ${quoteLiteral(definition)}`;
  let tag = '$function$';
  for (let n = 1; definition.includes(tag); n += 1) tag = `$function${n}$`;
  return `${tag}${definition}${tag}`;
}

export const aggregates: KindFix = {
  create: (fact, scope, difference) => {
    if (textOf(fact, 'kind') !== 'normal') {
      scope.refuse(difference, 'an ordered-set aggregate is not made');
      return;
    }
    const name = routineName(fact.name);
    const text = `CREATE AGGREGATE ${name}(${textOf(fact, 'arguments') ?? '*'}) (\n  ${aggregateOptions(fact).join(',\n  ')}\n)`;
    scope.add('routines', text, { makes: bareName(name) });
    setOwner('AGGREGATE', fact, scope, aggregateSignature(fact.name));
  },
  drop: (fact, scope) => {
    const phase = scope.isExtra('aggregate', fact.name) ? 'drop rest' : 'drop remade';
    scope.add(phase, `DROP AGGREGATE ${aggregateSignature(fact.name)}`);
  },
  change: ({ reference }, scope) => setOwner('AGGREGATE', reference, scope, aggregateSignature(reference.name)),
};

/** One without arguments is written with a star. */
export function aggregateSignature(name: string): string {
  return name.endsWith('()') ? `${name.slice(0, -1)}*)` : name;
}

function aggregateOptions(fact: Fact): readonly string[] {
  const callable = (option: string, attribute: string) => {
    const signature = textOf(fact, attribute);
    return signature === null || signature === '-' ? [] : [`${option} = ${routineName(signature)}`];
  };
  const plain = (option: string, attribute: string) => {
    const value = textOf(fact, attribute);
    return value === null || value === '0' ? [] : [`${option} = ${value}`];
  };
  const literal = (option: string, attribute: string) => {
    const value = textOf(fact, attribute);
    return value === null ? [] : [`${option} = ${quoteLiteral(value)}`];
  };
  const flag = (option: string, attribute: string) => (isSet(fact, attribute) ? [option] : []);
  const modify = (option: string, attribute: string, only: string) => {
    const value = textOf(fact, only) === null ? null : textOf(fact, attribute);
    return value === null ? [] : [`${option} = ${value.replace(' ', '_').toUpperCase()}`];
  };
  return [
    ...callable('SFUNC', 'state function'),
    ...plain('STYPE', 'state type'),
    ...plain('SSPACE', 'state size'),
    ...callable('FINALFUNC', 'final function'),
    ...flag('FINALFUNC_EXTRA', 'final function extra'),
    ...modify('FINALFUNC_MODIFY', 'final function modifies', 'final function'),
    ...callable('COMBINEFUNC', 'combine function'),
    ...callable('SERIALFUNC', 'serial function'),
    ...callable('DESERIALFUNC', 'deserial function'),
    ...literal('INITCOND', 'initial state'),
    ...callable('MSFUNC', 'moving state function'),
    ...callable('MINVFUNC', 'moving inverse function'),
    ...plain('MSTYPE', 'moving state type'),
    ...plain('MSSPACE', 'moving state size'),
    ...callable('MFINALFUNC', 'moving final function'),
    ...flag('MFINALFUNC_EXTRA', 'moving final function extra'),
    ...modify('MFINALFUNC_MODIFY', 'moving final function modifies', 'moving final function'),
    ...literal('MINITCOND', 'moving initial state'),
    ...callable('SORTOP', 'sort operator'),
    ...plain('PARALLEL', 'parallel').map((option) => option.toUpperCase()),
  ];
}

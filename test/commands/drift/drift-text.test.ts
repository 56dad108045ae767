import { expect, it } from 'vitest';
import { describeDrift } from '../../../src/commands/drift/drift-text.ts';
import type { DriftGroup, FoundDrift } from '../../../src/commands/drift/find-drift.ts';
import { compareFacts, type Difference } from '../../../src/drift/compare.ts';
import type { Fact } from '../../../src/drift/fact.ts';
import type { AcceptedEntry } from '../../../src/fleet/accepted-drift.ts';
import { fact, factSet, scanned } from '../../support/facts.ts';

const index = fact('index', 'tasks_due_idx', { definition: 'CREATE INDEX tasks_due_idx ON tasks (due)' }, 'tasks');
const tmp = fact('column', 'users.tmp', { type: 'text' }, 'users');
const without = (...facts: Fact[]) => compareFacts(factSet(facts), factSet([]));
const having = (...facts: Fact[]) => compareFacts(factSet([]), factSet(facts));
const entry: AcceptedEntry = {
  tenants: ['*'],
  labels: [],
  kind: 'index',
  name: 'tasks_due_idx',
  attribute: null,
  reason: 'slow disk',
  until: '2027-01-31',
  at: 'accepted.yaml:3:5',
};

function group(number: number, ids: readonly string[], more: Partial<DriftGroup> = {}): DriftGroup {
  const shape = `shape ${number}`;
  const members = ids.map((id) =>
    scanned(id, { shape, ...(more.version === undefined ? {} : { version: more.version }) }),
  );
  const rest = { major: 15, version: '0002_tasks', differences: [], accepted: [], templated: [] };
  return { number, shape, members, ...rest, ...more };
}

function ids(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `t${at + 1}`);
}

function text(groups: readonly DriftGroup[], more: Partial<FoundDrift> = {}, verbose = false): readonly string[] {
  const reference = { name: 'majority', notes: [], factsFor: () => ({ why: 'not asked' }) };
  return describeDrift(
    { reference, notes: [], groups, staleEntries: [], outcomes: [], alone: new Map(), ...more },
    { environment: 'test', verbose },
  );
}

it('says who is alike, then who differs in what, the smallest group last', () => {
  const groups = [
    group(1, ids(992)),
    group(2, ['a', 'b', 'c', 'd'], { differences: without(index) }),
    group(3, ['e'], { differences: [...without(index), ...having(tmp)] }),
  ];
  expect(text(groups)).toEqual([
    'environment test: 997 tenants in 3 shapes, against the majority of each version',
    '  5 lack index tasks_due_idx on tasks (structural)',
    '  1 has an extra column users.tmp (text) (structural)',
    '',
    '992 tenants alike, the reference: t1, t2, t3 and 989 more',
    '',
    '4 tenants, structural: a, b, c and 1 more',
    '  lacks index tasks_due_idx on tasks',
    '      - CREATE INDEX tasks_due_idx ON tasks (due)',
    '',
    '1 tenant, structural: e',
    '  lacks index tasks_due_idx on tasks',
    '      - CREATE INDEX tasks_due_idx ON tasks (due)',
    '  has an extra column users.tmp (text)',
    '',
    '-: as the reference has it, +: as these tenants have it',
  ]);
});

it('names the version and the major where there are several', () => {
  const lines = text([group(1, ['a', 'b']), group(2, ['c'], { version: null, major: 16 })], {
    reference: { name: 'migrations', notes: [], factsFor: () => ({ why: '' }) },
    notes: ['a note'],
  });
  expect(lines).toEqual([
    'environment test: 3 tenants in 2 shapes at 2 versions on PostgreSQL 15 and 16, against what the migrations build',
    'a note',
    '',
    '2 tenants at 0002_tasks like the reference: a and b',
    '',
    '1 tenant at no migration like the reference: c',
  ]);
});

it('names all tenants and shows every line with --verbose, and cuts both without', () => {
  const body = (sign: string) => fact('function', 'f()', { body: ids(40).join(`${sign}\n`) });
  const differences = compareFacts(factSet([body('a')]), factSet([body('b')]));
  const groups = [group(1, ids(5)), group(2, ['x'], { differences })];
  const short = text(groups);
  expect(short.filter((line) => line.startsWith('      '))).toHaveLength(21);
  expect(short).toContain('      … 60 more lines, shown with --verbose and in --json');
  const long = text(groups, {}, true);
  expect(long.filter((line) => line.startsWith('      '))).toHaveLength(80);
  expect(long).toContain('5 tenants alike, the reference: t1, t2, t3, t4, t5');
});

it('counts groups beyond the first twenty', () => {
  const groups = Array.from({ length: 25 }, (_, at) => group(at + 1, [`t${at}`], { differences: without(index) }));
  expect(text(groups)).toContain('… and 5 more groups, listed with --verbose');
  expect(text(groups, {}, true).filter((line) => line.startsWith('1 tenant'))).toHaveLength(25);
});

it('shows what is accepted with its reason, and entries that are over or of no use', () => {
  const accepted = without(index).map((difference: Difference) => ({ difference, entry }));
  const staleEntries = [
    { entry: { ...entry, until: '2026-01-31' }, state: 'over', tenants: ['a'] },
    { entry: { ...entry, attribute: 'valid' }, state: 'unused', tenants: ['b'] },
  ] as const;
  const lines = text([group(1, ['a'], { accepted })], { staleEntries });
  expect(lines).toContain('1 tenant, only accepted differences: a');
  expect(lines).toContain('  accepted until 2027-01-31, lacks index tasks_due_idx on tasks: slow disk');
  expect(lines).toContain(
    'accepted.yaml:3:5: index tasks_due_idx was accepted until 2026-01-31, which is over: counts again for a',
  );
  expect(lines).toContain(
    'accepted.yaml:3:5: nobody differs in index tasks_due_idx (valid) any more: the entry can go',
  );
});

it('says what was not compared, and what only by a rule', () => {
  const one = scanned('a', { unmodelled: [{ kind: 'event trigger', count: 2 }] });
  const lines = text([group(1, [], { members: [one], templated: ['function\0f()'] })]);
  expect(lines).toContain('not compared, for tenantctl has no model of it: event trigger (2 in 1 tenant)');
  expect(lines).toContain("compared with the tenants' own names put aside: function f()");
});

it('says so when nobody was compared', () => {
  expect(text([])).toEqual(['environment test: no tenant was compared']);
});

it('writes a tab as blanks', () => {
  const difference = without(fact('view', 'v', { definition: 'SELECT 1\n\tFROM a' }, 'v'));
  expect(text([group(1, ['a'], { differences: difference })])).toContain('      -     FROM a');
});

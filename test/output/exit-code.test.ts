import { describe, expect, it } from 'vitest';
import { InternalError, RefusedError, TenantError, UsageError } from '../../src/errors.ts';
import type { Outcome } from '../../src/fleet/outcome.ts';
import { exitCodeOf, exitCodeOfError, type InterruptSignal } from '../../src/output/exit-code.ts';
import type { Result } from '../../src/output/result.ts';
import { done, failed, interrupted, skipped } from './samples.ts';

const found: Outcome = { ...done('found'), finding: true } as Outcome;
const bug = failed('bug', { message: 'oops', code: 'internal' });
const source = { server: 'down', database: null, error: { message: 'connection refused' } };

type Row = readonly [name: string, code: number, result: Result, signal?: InterruptSignal];

const rows: readonly Row[] = [
  ['all done', 0, { outcomes: [done('a'), done('b')] }],
  ['nothing selected, and that was allowed', 0, { outcomes: [] }],
  ['hibernated tenants count for nothing', 0, { outcomes: [done('a'), skipped('b', 'hibernated')] }],
  ['all hibernated', 0, { outcomes: [skipped('b', 'hibernated')] }],
  ['a check that found nothing', 0, { outcomes: [{ ...done('a'), finding: false } as Outcome] }],
  ['a finding about a tenant', 1, { outcomes: [done('a'), found] }],
  ['a finding about no tenant', 1, { outcomes: [], findings: [{ message: 'bad' }] }],
  ['one failed', 3, { outcomes: [done('a'), failed('b')] }],
  ['one not started', 3, { outcomes: [done('a'), skipped('b')] }],
  ['one in the middle without a signal', 3, { outcomes: [done('a'), interrupted('b')] }],
  ['a failure beats a finding', 3, { outcomes: [found, failed('b')] }],
  ['a source that could not be read', 3, { outcomes: [done('a')], sources: [source] }],
  ['a source that could not be read, and nothing else there', 3, { outcomes: [], sources: [source] }],
  ['a source beats a finding', 3, { outcomes: [found], sources: [source] }],
  ['a source that was to be skipped', 3, { outcomes: [done('a')], sources: [{ ...source, skipped: true }] }],
  ['all failed', 4, { outcomes: [failed('a'), failed('b')] }],
  ['none started', 4, { outcomes: [skipped('a')] }],
  ['failed and hibernated: none is done', 4, { outcomes: [failed('a'), skipped('b', 'hibernated')] }],
  ['all failed beats a source', 4, { outcomes: [failed('a')], sources: [source] }],
  ['interrupted by SIGINT', 130, { outcomes: [done('a'), interrupted('b'), failed('c')] }, 'SIGINT'],
  ['interrupted by SIGTERM', 143, { outcomes: [done('a'), skipped('b')] }, 'SIGTERM'],
  ['a bug beats all', 70, { outcomes: [done('a'), bug, failed('c')] }, 'SIGINT'],
  ['a bug in one of many', 70, { outcomes: [done('a'), bug] }],
];

describe('exitCodeOf', () => {
  for (const [name, code, result, signal] of rows) {
    it(`${name}: ${code}`, () => {
      expect(exitCodeOf(result, signal === undefined ? {} : { interrupted: signal })).toBe(code);
    });
  }
});

describe('exitCodeOfError', () => {
  it.each([
    [2, new UsageError('no such flag')],
    [5, new RefusedError('not confirmed')],
    [4, new TenantError({ message: 'connection refused', code: 'ECONNREFUSED' })],
    [70, new InternalError('broken')],
    [70, new TypeError('undefined is not a function')],
    [70, 'thrown text'],
  ] as const)('%i', (code, error) => {
    expect(exitCodeOfError(error)).toBe(code);
  });
});

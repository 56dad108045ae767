import { describe, expect, it } from 'vitest';
import { countOutcomes } from '../../src/fleet/outcome.ts';
import { jsonReport } from '../../src/output/report-json.ts';
import type { ReportMeta, Result } from '../../src/output/result.ts';
import { blocker, done, failed, interrupted, relationExists, skipped } from './samples.ts';

function meta(result: Result, exitCode = 3): ReportMeta {
  return { command: 'migrate', durationMs: 1834.4, exitCode, totals: countOutcomes(result.outcomes) };
}

function report(result: Result): { text: string; value: Record<string, unknown> } {
  const text = [...jsonReport(result, meta(result))].join('');
  return { text, value: JSON.parse(text) };
}

describe('jsonReport', () => {
  it('is the document of the contract, key by key', () => {
    const value = { from: null, to: '0005', applied: ['0001'] };
    const { error: _, ...bad } = failed('bad') as Extract<ReturnType<typeof failed>, { status: 'failed' }>;
    const shuffled = { hint: 'look', line: 2, file: 'm/3.sql', sqlState: '42P07', message: 'exists' };
    const { text } = report({ run: 'r1', outcomes: [done('acme', value), { ...bad, error: shuffled }] });
    expect(text).toBe(
      [
        '{"schema":"tenantctl/1","command":"migrate","run":"r1","exitCode":3,"durationMs":1834,' +
          '"totals":{"selected":2,"done":1,"failed":1,"interrupted":0,"skipped":0,"hibernated":0,"findings":0},"outcomes":[',
        '{"tenant":"acme","server":"main","database":"saas","schema":"tenant_acme","status":"done","durationMs":12,' +
          '"value":{"from":null,"to":"0005","applied":["0001"]}},',
        '{"tenant":"bad","server":"main","database":"saas","schema":"tenant_bad","status":"failed","durationMs":9,' +
          '"step":"0003_tasks","error":{"message":"exists","sqlState":"42P07","file":"m/3.sql","line":2,"hint":"look"}}',
        ']}',
        '',
      ].join('\n'),
    );
  });

  it('puts environment, sources and the command’s own keys between totals and outcomes', () => {
    const sources = [{ server: 'eu', database: null, error: { message: 'refused' } }];
    const { value } = report({
      outcomes: [],
      environment: 'prod',
      sources,
      extra: { histogram: [1], run: 'forged', schema: 'forged', outcomes: 'forged' },
    });
    const keys = 'schema command run exitCode durationMs totals environment sources histogram outcomes';
    expect(Object.keys(value)).toEqual(keys.split(' '));
    expect(value).toMatchObject({ run: null, schema: 'tenantctl/1' });
    expect(value.outcomes).toEqual([]);
  });

  it('shows each status, and null as the schema of a tenant with a database of its own', () => {
    const outcomes = [
      done('own', 1, { schema: null }),
      interrupted('i'),
      skipped('s', 'not-started', 'stopped'),
      failed('f'),
    ];
    const { value } = report({ outcomes: [...outcomes, { ...done('found'), finding: true } as (typeof outcomes)[0]] });
    expect(value.outcomes).toMatchObject([
      { schema: null, status: 'done', value: 1 },
      { status: 'interrupted', step: '0002_more' },
      { status: 'skipped', reason: 'not-started', because: 'stopped' },
      { status: 'failed', error: relationExists },
      { status: 'done', finding: true },
    ]);
  });

  it('tells tries and who was in the way, of each tenant of which there is something to tell', () => {
    const blocked = { ...failed('f'), attempts: 3, blockedBy: [blocker(4711)] };
    const { value } = report({ outcomes: [blocked, { ...done('w'), attempts: 2, blockedBy: [] }, done('a')] });
    const [first, second, third] = value.outcomes as Record<string, unknown>[];
    const common = 'tenant server database schema status durationMs';
    expect(Object.keys(first!)).toEqual(`${common} attempts blockedBy step error`.split(' '));
    expect(first).toMatchObject({ attempts: 3, blockedBy: [blocker(4711)] });
    expect(Object.keys(second!)).toEqual(`${common} attempts value`.split(' '));
    expect(Object.keys(third!)).toEqual(`${common} value`.split(' '));
  });

  it('comes in pieces', () => {
    const value = { text: 'x'.repeat(500) };
    const result: Result = { outcomes: Array.from({ length: 5000 }, (_, i) => done(`t${i}`, value)) };
    const pieces = [...jsonReport(result, meta(result, 0))];
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(70_000);
    expect(JSON.parse(pieces.join('')).outcomes).toHaveLength(5000);
  });
});

import { expect, it } from 'vitest';
import { countOutcomes } from '../../src/fleet/outcome.ts';
import { NdjsonReport } from '../../src/output/report-ndjson.ts';
import type { ReportMeta } from '../../src/output/result.ts';
import { blocker, done, failed, skipped, tenant, view } from './samples.ts';

const now = () => new Date('2026-11-22T10:15:00Z');
const meta = (exitCode: number): ReportMeta => ({
  command: 'migrate',
  durationMs: 5,
  exitCode,
  totals: countOutcomes([]),
});
const parse = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

it('shows events as lines, the version first and the summary last', () => {
  const report = new NdjsonReport(view, now);
  const outcomes = [done('a', 1), failed('b'), skipped('c')];
  let text = report.event({ type: 'phase', name: 'migrating', servers: new Map([['main', 3]]) });
  text += report.event({ type: 'started', tenant: tenant('a') });
  text += report.event({ type: 'notice', level: 'warning', message: 'limit lowered' });
  for (const outcome of outcomes.slice(0, 2)) text += report.event({ type: 'settled', outcome });
  text += report.event({ type: 'phase-ended', name: 'migrating' });
  text += [...report.end({ outcomes, run: 'r1' }, meta(3))].join('');
  const lines = parse(text);
  expect(lines[0]).toEqual({ type: 'version', schema: 'tenantctl/1' });
  expect(lines.map((line) => line.type)).toEqual(
    'version phase notice outcome outcome phase-ended outcome summary'.split(' '),
  );
  expect(lines[1]).toEqual({ type: 'phase', at: '2026-11-22T10:15:00.000Z', name: 'migrating', servers: { main: 3 } });
  expect(lines[6]).toMatchObject({ tenant: 'c', status: 'skipped', reason: 'not-started' });
  expect(lines.at(-1)).toMatchObject({ type: 'summary', command: 'migrate', run: 'r1', exitCode: 3, durationMs: 5 });
});

it('lets the last outcome line of a tenant be the one of the result', () => {
  const report = new NdjsonReport({ ...view, isFinding: () => true }, now);
  const planned = report.event({ type: 'settled', outcome: done('a', 'planned') });
  const result = { outcomes: [{ ...done('a', 'applied'), finding: true } as ReturnType<typeof done>] };
  const lines = parse(planned + [...report.end(result, meta(1))].join(''));
  expect(lines.filter((line) => line.type === 'outcome')).toMatchObject([
    { value: 'planned', finding: true },
    { value: 'applied', finding: true },
  ]);
});

it('shows who waits for whom, and that it waits no more, each once', () => {
  const report = new NdjsonReport(view, now);
  const blocked = { type: 'blocked', tenant: tenant('a') } as const;
  const shuffled = Object.fromEntries(Object.entries(blocker(4711, { tenant: 'globex' })).reverse());
  const text =
    report.event({ ...blocked, blockers: [shuffled as unknown as ReturnType<typeof blocker>] }) +
    report.event({ ...blocked, blockers: [blocker(4711, { state: 'active' })] }) +
    report.event({ ...blocked, blockers: [] }) +
    report.event({ ...blocked, blockers: [] });
  report.event({ ...blocked, blockers: [blocker(4711)] });
  report.event({ type: 'settled', outcome: done('a') });
  expect(report.event({ ...blocked, blockers: [blocker(4711)] })).toContain('"pid":4711');
  expect(text.split('\n').slice(1)).toEqual([
    '{"type":"blocked","at":"2026-11-22T10:15:00.000Z","tenant":"a","blockedBy":[{"pid":4711,"application":"psql",' +
      '"user":"app","state":"idle in transaction","transactionStartedAt":"2026-11-22T10:14:18.000Z",' +
      '"queryStartedAt":"2026-11-22T10:14:20.000Z","tenant":"globex"}]}',
    '{"type":"blocked","at":"2026-11-22T10:15:00.000Z","tenant":"a","blockedBy":[]}',
    '',
  ]);
});

import { describe, expect, it } from 'vitest';
import { countOutcomes, type Outcome } from '../../src/fleet/outcome.ts';
import { exitCodeOf } from '../../src/output/exit-code.ts';
import { type TableOptions, tableReport } from '../../src/output/report-table.ts';
import type { CommandView, Result } from '../../src/output/result.ts';
import { makeRetryCommand } from '../../src/output/retry-command.ts';
import { noStyle } from '../../src/output/style.ts';
import { displayWidth } from '../../src/output/text.ts';
import { shellQuote } from '../../src/words.ts';
import { blocker, done, failed, interrupted, readAll, relationExists, skipped, view } from './samples.ts';

const silent: CommandView = { columns: ['tenant'], row: () => null };

async function report(result: Result, more: Partial<TableOptions> = {}): Promise<string> {
  const options: TableOptions = {
    view: silent,
    style: noStyle,
    width: null,
    quiet: false,
    verbose: false,
    retryCommand: makeRetryCommand(['migrate']),
    ...more,
  };
  const totals = countOutcomes(result.outcomes);
  return readAll(
    tableReport(result, { command: 'migrate', durationMs: 1834, exitCode: exitCodeOf(result), totals }, options),
  );
}

const many = (count: number, make: (id: string) => Outcome): readonly Outcome[] =>
  Array.from({ length: count }, (_, i) => make(`t${String(i).padStart(2, '0')}`));

describe('tableReport', () => {
  it('is one line for a run in which all went well', async () => {
    const text = await report({ outcomes: many(50, (id) => done(id)), run: 'r1' });
    expect(text).toBe('50 tenants: 50 done in 1.8 s (run r1)\n');
  });

  it('groups failures by cause with names, hint and the exact retry', async () => {
    const outcomes = [
      ...many(12, (id) => done(id)),
      ...many(37, (id) => failed(`x${id}`)),
      failed('odd', { message: 'no' }),
    ];
    expect(await report({ outcomes, run: 'r1' })).toBe(
      [
        '37 tenants: 42P07 relation "tasks" already exists (0003_tasks.sql:2)',
        '  xt00, xt01, xt02 and 34 more',
        '  hint: drop the table, or mark the migration as applied with --fake',
        '1 tenant: no',
        '  odd',
        '  retry: tenantctl migrate --tenant odd',
        'retry all failed: tenantctl migrate --from-run r1 --outcome failed',
        '',
        '50 tenants: 12 done, 38 failed in 1.8 s (run r1)',
        '',
      ].join('\n'),
    );
  });

  it('uses the run when one cause is all that failed, and speaks neutrally for many', async () => {
    const missing = (id: string) =>
      failed(id, {
        message: `schema "tenant_${id}" does not exist`,
        hint: `tenantctl tenants list --tenant ${id}x${id}`,
      });
    const text = await report({ outcomes: [missing('aaa'), missing('bbb')], run: 'r1' });
    expect(text).toContain(
      '2 tenants: schema "{tenant}" does not exist\n  aaa and bbb\n  retry: tenantctl migrate --from-run r1',
    );
    // A hint that cannot speak for all is left out.
    expect(text).not.toContain('hint:');
    const verbose = await report({ outcomes: many(5, (id) => failed(id)), run: null }, { verbose: true });
    expect(verbose).toContain('  t00, t01, t02, t03, t04\n');
    expect(verbose).toContain('retry: tenantctl migrate --tenant t00 t01 t02 t03 t04\n');
  });

  it('tells tenants in the middle from tenants never started', async () => {
    const outcomes = [
      done('a'),
      interrupted('m'),
      skipped('n1', 'not-started', 'interrupted'),
      skipped('h', 'hibernated'),
    ];
    expect(await report({ outcomes, run: 'r1' })).toBe(
      [
        '1 tenant in the middle when the run was interrupted, look at it',
        '  m (0002_more)',
        '1 tenant never started: interrupted',
        '  n1',
        '  carry on: tenantctl migrate --from-run r1 --outcome interrupted,skipped',
        '',
        '4 tenants: 1 done, 1 interrupted, 1 not started, 1 hibernated in 1.8 s (run r1)',
        '',
      ].join('\n'),
    );
  });

  it('says who was in the way of those that failed, and of those that are done all the same', async () => {
    const [b4711, ours] = [blocker(4711), blocker(4712, { application: null, tenant: 'globex' })];
    const timeout = { message: 'canceling statement due to lock timeout', sqlState: '55P03', hint: 'try again' };
    const outcomes = [
      { ...done('w'), blockedBy: [ours] },
      { ...failed('a', timeout), blockedBy: [b4711] },
      { ...failed('b', timeout), blockedBy: [b4711, ours] },
      { ...interrupted('m'), blockedBy: [b4711] },
    ];
    const times = 'transaction open since 2026-11-22T10:14:18Z, last query at 2026-11-22T10:14:20Z';
    expect(await report({ outcomes })).toBe(
      [
        '1 tenant had to wait for locks: w (pid 4712, tenant globex)',
        '',
        '2 tenants: 55P03 canceling statement due to lock timeout',
        '  a and b',
        `  blocked by: pid 4711 (psql, user app, idle in transaction, ${times})`,
        `  blocked by: pid 4712 (user app, idle in transaction, ${times}), tenant globex`,
        '  hint: try again',
        '  retry: tenantctl migrate --tenant a b',
        '1 tenant in the middle when the run was interrupted, look at it',
        '  m (0002_more), blocked by pid 4711 psql',
        '  carry on: tenantctl migrate --tenant m',
        '',
        '4 tenants: 1 done, 2 failed, 1 interrupted in 1.8 s',
        '',
      ].join('\n'),
    );
    expect(await report({ outcomes }, { quiet: true })).not.toContain('had to wait');
  });

  it('prints text, rows and sources, and cuts rows to the terminal only', async () => {
    const result: Result = {
      text: ['812 at 0142\u001b[2J'],
      outcomes: [done('a', 'x'.repeat(200)), done('日本\u001b[31m', 'y')],
      sources: [{ server: 'eu', database: 'saas', error: { message: 'connection refused', hint: 'is it up' } }],
    };
    const piped = await report(result, { view });
    expect(piped).toContain('x'.repeat(200));
    const narrow = await report(result, { view, width: 60 });
    const lines = narrow.split('\n');
    expect(lines.slice(0, 2)).toEqual(['812 at 0142\\x1b[2J', 'TENANT        TO']);
    expect(lines[3]).toBe('日本\\x1b[31m  y');
    expect(lines.slice(0, 4).every((line) => displayWidth(line) <= 60)).toBe(true);
    expect(narrow).toContain(
      'server eu/saas could not be read, its tenants are not known: connection refused\n  hint: is it up\n',
    );
  });

  it('lists no hundreds of rows, except for listings and --verbose', async () => {
    const outcomes = many(300, (id) => done(id, 1));
    const short = await report({ outcomes }, { view });
    expect(short.split('\n').length).toBeLessThan(30);
    expect(short).toContain('… and 280 more, listed with --verbose\n');
    expect((await report({ outcomes }, { view, verbose: true })).match(/^t\d+ /gmu)).toHaveLength(300);
    const listing = await report({ outcomes: many(1200, (id) => done(id, 1)) }, { view: { ...view, listing: true } });
    expect(listing.trimEnd().split('\n')).toHaveLength(1201);
  });

  it('is silent with --quiet when all went well, and tells failures and findings', async () => {
    const found = { ...done('f', 7), finding: true } as Outcome;
    expect(await report({ outcomes: [done('a')], text: ['plan'] }, { view, quiet: true })).toBe('');
    const failure = await report({ outcomes: [done('a'), failed('b')], text: ['plan'] }, { view, quiet: true });
    expect(failure).toMatch(/^1 tenant: 42P07/u);
    const finding = await report({ outcomes: [done('a', 1), found] }, { view, quiet: true });
    expect(finding).toContain('f       7');
    expect(finding).not.toMatch(/^a /mu);
  });

  it('shows hostile names, messages and details as what they are', async () => {
    const evil = 'x\u001b[2J\n0 failed\u202e';
    const text = await report({
      outcomes: [failed(evil, { ...relationExists, message: evil, detail: evil, hint: evil })],
      run: evil,
    });
    expect(text).not.toMatch(/[^\n\x20-\x7e]/u);
    expect(text).not.toMatch(/^0 failed/mu);
  });

  it('says when nothing was selected', async () => {
    expect(await report({ outcomes: [] })).toBe('no tenants selected\n');
    expect(await report({ outcomes: [], text: ['all fine'] })).toBe('all fine\n');
  });
});

describe('makeRetryCommand', () => {
  const retry = makeRetryCommand(['migrate', '-c', "it's here.yaml"]);

  it('quotes for a shell', () => {
    expect(retry(['a b', 'acme'], null, ['failed'])).toBe(
      `tenantctl migrate -c 'it'\\''s here.yaml' --tenant 'a b' acme`,
    );
    expect(shellQuote('')).toBe("''");
  });

  it('names no ids that would mean something else, or too many', () => {
    expect(retry(['eu-*'], null, ['failed'])).toBeNull();
    expect(retry(['--all'], null, ['failed'])).toBeNull();
    expect(retry(['a\u001b[2J'], null, ['failed'])).toBeNull();
    expect(
      retry(
        many(100, done).map((it) => it.tenant.id),
        null,
        ['failed'],
      ),
    ).toBeNull();
  });
});

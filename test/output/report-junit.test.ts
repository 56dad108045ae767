import { describe, expect, it } from 'vitest';
import { countOutcomes, type Outcome } from '../../src/fleet/outcome.ts';
import { exitCodeOf } from '../../src/output/exit-code.ts';
import { junitReport } from '../../src/output/report-junit.ts';
import type { ReportMeta, Result } from '../../src/output/result.ts';
import { makeRetryCommand } from '../../src/output/retry-command.ts';
import { blocker, done, failed, interrupted, relationExists, skipped, view } from './samples.ts';
import { type Element, findAll, readXml } from './xml-reader.ts';

const options = { view, retryCommand: makeRetryCommand(['migrate']) };

function pieces(result: Result, more: Partial<ReportMeta> = {}): readonly string[] {
  const totals = countOutcomes(result.outcomes);
  const meta = { command: 'migrate', durationMs: 1834, exitCode: exitCodeOf(result), totals, ...more };
  return [...junitReport(result, meta, options)];
}

function read(result: Result, more: Partial<ReportMeta> = {}): Element {
  return readXml(pieces(result, more).join(''));
}

/** Per case what CI tells of it: `acme failure 42P07`. */
function cases(root: Element): readonly string[] {
  return findAll(root, 'testcase').map(({ attributes, children: [verdict] }) => {
    const how = verdict === undefined ? 'passed' : [verdict.name, verdict.attributes.type].join(' ').trim();
    return `${attributes.name} ${how}`;
  });
}

describe('junitReport', () => {
  it('has a suite a server and a case a tenant, with counts that are right', () => {
    const eu = { server: 'eu', database: 'a.b' };
    const outcomes = [
      done('acme'),
      failed('bad'),
      done('berlin', 1, eu),
      interrupted('mid'),
      skipped('never', 'not-started', 'the canary did not succeed'),
      skipped('asleep', 'hibernated'),
      { ...done('found', '0003', eu), finding: true } as Outcome,
    ];
    const root = read({ outcomes, run: 'r1', environment: 'prod' });
    expect(root.attributes).toEqual({
      name: 'tenantctl migrate',
      tests: '7',
      failures: '2',
      errors: '1',
      skipped: '2',
      time: '1.834',
    });
    expect(root.children.map(({ attributes }) => attributes)).toEqual([
      { name: 'tenantctl migrate: main', tests: '5', failures: '1', errors: '1', skipped: '2', time: '0.026' },
      { name: 'tenantctl migrate: eu', tests: '2', failures: '1', errors: '0', skipped: '0', time: '0.024' },
    ]);
    expect(cases(root)).toEqual([
      'acme passed',
      'bad failure 42P07',
      'mid error interrupted',
      'never skipped',
      'asleep skipped',
      'berlin passed',
      'found failure finding',
    ]);
    const [acme, , , never] = findAll(root, 'testcase');
    expect(acme?.attributes).toEqual({ classname: 'tenantctl.migrate.main.saas', name: 'acme', time: '0.012' });
    expect(never?.children[0]?.attributes.message).toBe('not-started: the canary did not succeed');
    expect(findAll(root, 'testcase').at(-1)?.attributes.classname).toBe('tenantctl.migrate.eu.a_b');
    expect(findAll(root, 'failure').at(-1)).toMatchObject({ attributes: { message: 'to 0003' }, text: 'to 0003' });
    expect(findAll(root, 'property')[0]?.attributes).toEqual({ name: 'run', value: 'r1' });
  });

  it('says in a failure where, why, who was in the way and what to do', () => {
    const error = { ...relationExists, column: 7, detail: 'a detail' };
    const outcome = { ...failed('bad', error), blockedBy: [blocker(4711), blocker(4712, { tenant: 'globex' })] };
    const [bad] = findAll(read({ outcomes: [outcome] }), 'testcase');
    expect(bad?.attributes).toMatchObject({ file: 'migrations/0003_tasks.sql', line: '2' });
    expect(bad?.children).toMatchObject([
      {
        name: 'failure',
        attributes: { type: '42P07', message: '42P07 relation "tasks" already exists (0003_tasks.sql:2)' },
        text: [
          '42P07 relation "tasks" already exists',
          'at migrations/0003_tasks.sql:2:7',
          'detail: a detail',
          'hint: drop the table, or mark the migration as applied with --fake',
          'blocked by: pid 4711 (psql, user app, idle in transaction, transaction open since 2026-11-22T10:14:18Z, last query at 2026-11-22T10:14:20Z)',
          'blocked by: pid 4712 (psql, user app, idle in transaction, transaction open since 2026-11-22T10:14:18Z, last query at 2026-11-22T10:14:20Z), tenant globex',
          'step: 0003_tasks',
          'retry: tenantctl migrate --tenant bad',
        ].join('\n'),
      },
    ]);
    const locked = failed('l', { message: 'locked', code: 'locked' });
    expect(cases(read({ outcomes: [locked, failed('p', { message: 'no' })] }))).toEqual([
      'l failure locked',
      'p failure failed',
    ]);
  });

  it('is XML whatever tenants are called and servers say', () => {
    const evil = `a&b<c>"d'\u0000\u0008\u001b[2J\ufffe\ud800]]>\n日本😀`;
    const shown = `a&b<c>"d'\\x00\\x08\\x1b[2J\\u{fffe}\\u{d800}]]>\\n日本😀`;
    const error = { message: evil, detail: evil, hint: evil, file: evil, line: 1 };
    const sources = [{ server: evil, database: evil, error }];
    const root = read({
      outcomes: [failed(evil, error, { server: evil, database: evil })],
      run: evil,
      environment: evil,
      sources,
    });
    const bad = findAll(root, 'testcase').at(-1)!;
    expect(bad.attributes).toMatchObject({ name: shown, file: shown });
    expect(bad.children[0]?.text.split('\n')).toEqual(
      expect.arrayContaining([shown, `at ${shown}:1`, `detail: ${shown}`, `hint: ${shown}`]),
    );
  });

  it('makes an error of a source that could not be read', () => {
    const error = { message: 'connection refused', code: 'unreachable', hint: 'is it up' };
    const sources = [{ server: 'eu', database: null, error }];
    const root = read({ outcomes: [done('a')], sources });
    expect(cases(root)).toEqual(['a passed', 'source eu error unreachable']);
    expect(root.children.map(({ attributes }) => attributes.name)).toEqual([
      'tenantctl migrate: main',
      'tenantctl migrate: eu',
    ]);
    expect(root.attributes).toMatchObject({ tests: '2', errors: '1' });
  });

  it('has one case, an error, for a command that was refused', () => {
    const error = { message: 'a file was edited', details: ['0001_users.sql'], hint: 'put it back' };
    const root = read({ outcomes: [] }, { exitCode: 5, error });
    expect(cases(root)).toEqual(['tenantctl migrate error exit 5']);
    expect(findAll(root, 'error')[0]).toMatchObject({
      attributes: { message: 'a file was edited' },
      text: 'a file was edited\n0001_users.sql\nhint: put it back',
    });
    expect(root.attributes).toMatchObject({ tests: '1', errors: '1', failures: '0' });
  });

  it('lets the command speak where no tenant does', () => {
    expect(cases(read({ outcomes: [], text: ['all fine'] }))).toEqual(['tenantctl migrate passed']);
    const found = [{ message: 'sick' }, { message: 'dropped', code: 'drop-column', file: 'm/0003.sql', line: 7 }];
    expect(cases(read({ outcomes: [failed('a')], findings: found }))).toEqual([
      'finding failure finding',
      'drop-column m/0003.sql:7 failure drop-column',
      'a failure 42P07',
    ]);
    expect(cases(read({ outcomes: [done('a')] }, { exitCode: 130 }))).toEqual([
      'tenantctl migrate error exit 130',
      'a passed',
    ]);
    expect(cases(read({ outcomes: [skipped('a')] }))).toEqual(['tenantctl migrate error exit 4', 'a skipped']);
  });

  it('comes in pieces for 5,000 tenants', () => {
    const outcomes = Array.from({ length: 5000 }, (_, i) => failed(`t${i}`));
    const all = pieces({ outcomes });
    expect(Math.max(...all.map((piece) => piece.length))).toBeLessThan(70_000);
    expect(findAll(readXml(all.join('')), 'testcase')).toHaveLength(5000);
  });
});

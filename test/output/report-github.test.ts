import { describe, expect, it } from 'vitest';
import { countOutcomes, type Outcome } from '../../src/fleet/outcome.ts';
import { exitCodeOf } from '../../src/output/exit-code.ts';
import { type GithubOptions, githubReport } from '../../src/output/report-github.ts';
import type { ReportMeta, Result } from '../../src/output/result.ts';
import { makeRetryCommand } from '../../src/output/retry-command.ts';
import { blocker, done, failed, interrupted, relationExists, skipped, view } from './samples.ts';

const base: GithubOptions = {
  view,
  retryCommand: makeRetryCommand(['migrate']),
  cwd: '/repo/db',
  env: {},
  quiet: false,
};

function report(result: Result, more: Partial<GithubOptions> = {}, end: Partial<ReportMeta> = {}): readonly string[] {
  const totals = countOutcomes(result.outcomes);
  const meta = { command: 'migrate', durationMs: 1834, exitCode: exitCodeOf(result), totals, ...end };
  return [...githubReport(result, meta, { ...base, ...more })].join('').trimEnd().split('\n');
}

const commands = (lines: readonly string[]) => lines.filter((line) => line.startsWith('::'));
const plain = { message: 'no' };

describe('githubReport', () => {
  it('annotates a cause once, on its file and line, however many tenants it befell', () => {
    const error = { ...relationExists, column: 7 };
    const outcomes = [done('a'), ...['b', 'c', 'd', 'e', 'f'].map((id) => failed(id, error))];
    expect(report({ outcomes, text: ['environment prod: 6 tenants'], run: 'r1' })).toEqual([
      'environment prod: 6 tenants',
      '::error file=migrations/0003_tasks.sql,line=2,col=7,title=tenantctl migrate%3A 5 tenants failed' +
        '::42P07 relation "tasks" already exists%0A5 tenants: b, c, d and 2 more%0Aat migrations/0003_tasks.sql:2:7' +
        '%0Ahint: drop the table, or mark the migration as applied with --fake' +
        '%0Aretry: tenantctl migrate --from-run r1 --outcome failed',
      '6 tenants: 1 done, 5 failed in 1.8 s (run r1)',
    ]);
  });

  it('escapes what the runner would take for its own', () => {
    const file = 'a,b:c%d.sql';
    const outcomes = [failed('x', { message: '50% of, all: done\r\n::error::forged', file, line: 1 })];
    const [command] = commands(report({ outcomes, text: ['  ::error::forged', 'a ##[error] b'] }));
    expect(command).toContain(
      '::error file=a%2Cb%3Ac%25d.sql,line=1,title=tenantctl migrate%3A 1 tenant failed::50%25 of, all: done\\r\\n::error::forged%0A',
    );
    expect(report({ outcomes: [], text: ['  ::error::forged', 'a ##[error] b'] })).toEqual([
      '  : :error::forged',
      'a ## [error] b',
    ]);
  });

  it('names files from the top of the checkout, where that is known', () => {
    const outcomes = [failed('x')];
    const fileOf = (env: GithubOptions['env'], cwd?: string) => {
      return /file=([^,]*)/.exec(commands(report({ outcomes }, { env, cwd: cwd ?? base.cwd }))[0] ?? '')?.[1];
    };
    expect(fileOf({})).toBe('migrations/0003_tasks.sql');
    expect(fileOf({ GITHUB_WORKSPACE: '' })).toBe('migrations/0003_tasks.sql');
    expect(fileOf({ GITHUB_WORKSPACE: '/repo' })).toBe('db/migrations/0003_tasks.sql');
    expect(fileOf({ GITHUB_WORKSPACE: '/repo/' }, '/repo')).toBe('migrations/0003_tasks.sql');
    expect(fileOf({ GITHUB_WORKSPACE: '/elsewhere' })).toBe('migrations/0003_tasks.sql');
  });

  it('shows findings as warnings, those of which the same is to be said together', () => {
    const found = (id: string, value: string): Outcome => ({ ...done(id, value), finding: true }) as Outcome;
    const outcomes = [done('ok', 'x'), found('a', '0003'), found('b', '0004'), found('c', '0003')];
    expect(commands(report({ outcomes }))).toEqual([
      '::warning title=tenantctl migrate%3A 2 tenants with a finding::to 0003%0A2 tenants: a and c',
      '::warning title=tenantctl migrate%3A 1 tenant with a finding::to 0004%0A1 tenant: b',
    ]);
    const hazard = { message: 'users.tmp is dropped', code: 'drop-column', file: 'm/0003.sql', line: 7, hint: 'wait' };
    expect(commands(report({ outcomes: [], findings: [hazard] }))).toEqual([
      '::warning file=m/0003.sql,line=7,title=tenantctl migrate%3A drop-column::users.tmp is dropped%0Aat m/0003.sql:7%0Ahint: wait',
    ]);
  });

  it('tells of tenants in the middle and never started, of sources and of who was in the way', () => {
    const sources = [{ server: 'eu', database: 'saas', error: { message: 'connection refused', hint: 'is it up' } }];
    const blocked = { ...failed('b', plain), blockedBy: [blocker(4711)] };
    const outcomes = [
      blocked,
      interrupted('m'),
      skipped('s', 'not-started', 'interrupted'),
      skipped('h', 'hibernated'),
    ];
    const found = commands(report({ outcomes, sources }));
    expect(found.map((line) => line.slice(0, line.indexOf('%0A')))).toEqual([
      '::error title=tenantctl migrate%3A 1 tenant failed::no',
      '::error title=tenantctl migrate%3A server eu/saas could not be read::its tenants are not known: connection refused',
      '::error title=tenantctl migrate%3A 1 tenant in the middle::in the middle when the run was interrupted, look at it',
      '::warning title=tenantctl migrate%3A 1 tenant never started::never started: interrupted',
    ]);
    expect(found[0]).toContain('%0Ablocked by: pid 4711 (psql, user app,');
  });

  it('makes ten annotations at most, the last of which sums up the rest', () => {
    const outcomes = Array.from({ length: 25 }, (_, i) => failed(`t${i}`, { message: `cause ${i}` }));
    const found = commands(report({ outcomes }));
    expect(found).toHaveLength(10);
    expect(found[9]).toMatch(/^::error title=tenantctl migrate%3A 16 more causes::1 tenant failed: cause 9%0A/);
    expect(found[9]).toMatch(/1 tenant failed: cause 24$/);
    expect(commands(report({ outcomes: outcomes.slice(0, 10) }))[9]).toContain('::cause 9');
  });

  it('shows why a command was refused', () => {
    const error = { message: 'a file was edited', details: ['0001'], hint: 'put it back' };
    expect(report({ outcomes: [] }, {}, { exitCode: 5, error })).toEqual([
      '::error title=tenantctl migrate%3A refused::a file was edited%0A0001%0Ahint: put it back',
    ]);
  });

  it('is silent with --quiet when all went well', () => {
    expect(report({ outcomes: [done('a')], text: ['plan'] }, { quiet: true })).toEqual(['']);
    expect(report({ outcomes: [failed('a')], text: ['plan'] }, { quiet: true })[0]).toMatch(/^::error/);
  });
});

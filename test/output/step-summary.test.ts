import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { countOutcomes } from '../../src/fleet/outcome.ts';
import { exitCodeOf } from '../../src/output/exit-code.ts';
import { markdownCode, markdownText } from '../../src/output/markdown.ts';
import type { ReportMeta, Result } from '../../src/output/result.ts';
import { makeRetryCommand } from '../../src/output/retry-command.ts';
import { stepSummary } from '../../src/output/step-summary.ts';
import { openStepSummary } from '../../src/output/step-summary-file.ts';
import { blocker, done, failed, interrupted, skipped, view } from './samples.ts';

const mebibyte = 1024 * 1024;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenantctl-summary-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function page(result: Result, more: Partial<ReportMeta> = {}): string {
  const totals = countOutcomes(result.outcomes);
  const meta = { command: 'migrate', durationMs: 1834, exitCode: exitCodeOf(result), totals, ...more };
  return [...stepSummary(result, meta, { view, retryCommand: makeRetryCommand(['migrate']) })].join('');
}

describe('stepSummary', () => {
  it('has totals, causes with the retry, the answer, and each tenant that is not done', () => {
    const outcomes = [
      done('a'),
      ...['b', 'c', 'd', 'e'].map((id) => failed(id)),
      { ...failed('own', { message: 'a | b' }, { schema: null }), blockedBy: [blocker(4711)] },
      interrupted('m'),
      skipped('s', 'not-started', 'interrupted'),
      skipped('h', 'hibernated'),
    ];
    const text = ['environment prod: 9 tenants', '  + 0003.sql'];
    expect(page({ outcomes, text, run: 'r1', environment: 'prod' })).toBe(
      [
        '## tenantctl migrate',
        '',
        'environment `prod`, **9 tenants\\: 1 done, 5 failed, 1 interrupted, 1 not started, 1 hibernated in 1.8 s (run r1)**, exit code 3',
        '',
        '### What went wrong',
        '',
        '|  | cause | tenants | do them again |',
        '| --- | --- | --- | --- |',
        '| 4 tenants failed | 42P07 relation "tasks" already exists<br>at migrations/0003\\_tasks.sql\\:2<br>hint\\: drop the table, or mark the migration as applied with --fake | `b`, `c`, `d` and 1 more | `tenantctl migrate --tenant b c d e` |',
        '| 1 tenant failed | a \\| b<br>blocked by\\: pid 4711 (psql, user app, idle in transaction, transaction open since 2026-11-22T10\\:14\\:18Z, last query at 2026-11-22T10\\:14\\:20Z) | `own` | `tenantctl migrate --tenant own` |',
        '| 1 tenant in the middle | in the middle when the run was interrupted, look at it | `m` | `tenantctl migrate --from-run r1 --outcome interrupted` |',
        '| 1 tenant never started | never started\\: interrupted | `s` | `tenantctl migrate --from-run r1 --outcome skipped` |',
        '',
        '### Report',
        '',
        '    environment prod: 9 tenants',
        '      + 0003.sql',
        '',
        '### Tenants not done',
        '',
        '| tenant | place | outcome | step | why |',
        '| --- | --- | --- | --- | --- |',
        ...['b', 'c', 'd', 'e'].map(
          (id) =>
            `| \`${id}\` | \`main/saas/tenant_${id}\` | failed | \`0003_tasks\` | 42P07 relation "tasks" already exists (0003\\_tasks.sql\\:2) |`,
        ),
        '| `own` | `main/saas` | failed | `0003_tasks` | a \\| b; blocked by pid 4711 psql |',
        '| `m` | `main/saas/tenant_m` | interrupted | `0002_more` |  |',
        '| `s` | `main/saas/tenant_s` | not started |  | interrupted |',
        '',
      ].join('\n'),
    );
  });

  it('is short when all went well, and says who had to wait', () => {
    expect(page({ outcomes: [done('a'), { ...done('b'), blockedBy: [blocker(7)] }] })).toBe(
      '## tenantctl migrate\n\n**2 tenants\\: 2 done in 1.8 s**, exit code 0\n\n1 tenant had to wait for locks\\: b (pid 7 psql)\n',
    );
  });

  it('says why a command was refused', () => {
    const error = { message: 'a file was edited', details: ['0001'], hint: 'put it back' };
    const text = page({ outcomes: [] }, { exitCode: 5, error });
    expect(text).toContain('\n\nexit code 5\n');
    expect(text).toContain('| refused | a file was edited<br>0001<br>hint\\: put it back |  |  |\n');
  });

  it('keeps its tables whole whatever tenants are called', () => {
    const evil = 'a|b\n| c | `d` <img src=x> [l](u)\u001b[2J\\|';
    const text = page({ outcomes: [failed(evil, { message: evil, hint: evil })], text: [evil], environment: evil });
    const rows = text.split('\n').filter((line) => line.startsWith('|'));
    expect(rows).toHaveLength(6);
    // Borders are the bars without a backslash before them.
    expect(rows.map((row) => row.match(/(?<!\\)\|/g)?.length)).toEqual([5, 5, 5, 6, 6, 6]);
    expect(rows.at(-1)).toMatch(
      / \| a\\\|b\\\\n\\\| c \\\| \\`d\\` \\<img src=x\\> \\\[l\\\]\(u\)\\\\x1b\\\[2J\\\\\\\| \|$/,
    );
  });
});

describe('markdown', () => {
  it.each([
    ['a_b*c', 'a\\_b\\*c'],
    ['<b> & | \\', '\\<b\\> \\& \\| \\\\'],
    ['[x](y) https://z www.z', '\\[x\\](y) https\\://z www\\.z'],
    ['a\nb', 'a\\\\nb'],
  ])('shows %j as text', (text, shown) => {
    expect(markdownText(text)).toBe(shown);
  });

  it.each([
    ['acme', '`acme`'],
    ['a_b <c>', '`a_b <c>`'],
    ['a`b', 'a\\`b'],
    ['a|b\\', 'a\\|b\\\\'],
    [' a ', ' a '],
    ['', ''],
  ])('shows %j as code', (text, shown) => {
    expect(markdownCode(text)).toBe(shown);
  });
});

describe('openStepSummary', () => {
  async function add(lines: readonly string[], before: string | null = null): Promise<string> {
    const path = join(folder, 'summary.md');
    if (before !== null) await writeFile(path, before);
    const sink = openStepSummary('summary.md', folder);
    for (const line of lines) void sink.write(line);
    await sink.close();
    return readFile(path, 'utf8');
  }

  it('adds to what other programs wrote', async () => {
    expect(await add(['a\n', 'b\nc\n'])).toBe('a\nb\nc\n');
    expect(await add(['a\n'], 'old\n')).toBe('old\n\na\n');
    expect(await add(['a\n'], 'old')).toBe('old\n\na\n');
  });

  it('cuts by whole lines what has no room, counted in bytes together with what is there', async () => {
    const line = `${'ü'.repeat(499)}\n`;
    const before = `${'x'.repeat(500_000)}\n`;
    const text = await add(new Array(2000).fill(line), before);
    expect(Buffer.byteLength(text)).toBeLessThan(mebibyte);
    expect(Buffer.byteLength(text)).toBeGreaterThan(mebibyte - 1200);
    const kept = text.slice(before.length + 1).split('\n');
    const note = kept.slice(-3);
    expect(note).toEqual(['', expect.stringMatching(/^\d+ more lines left out: a summary has room for 1 MiB$/), '']);
    expect(kept.slice(0, -3).every((it) => `${it}\n` === line)).toBe(true);
    expect(kept.length - 3 + Number.parseInt(note[1] ?? '', 10)).toBe(2000);
  });

  it('counts bytes and not characters', async () => {
    const text = await add(new Array(1500).fill(`${'ü'.repeat(499)}\n`));
    expect(text.length).toBeLessThan(mebibyte / 2 + 1000);
    expect(text).toMatch(/ more lines left out/);
  });

  it('fills the file to the last byte below 1 MiB, and not one more', async () => {
    const line = `${'x'.repeat(1023)}\n`;
    const rest = `${'x'.repeat(1022)}\n`;
    const whole = await add([...new Array(1023).fill(line), rest]);
    expect(Buffer.byteLength(whole)).toBe(mebibyte - 1);
    await rm(join(folder, 'summary.md'));
    expect(await add(new Array(1024).fill(line))).toMatch(/\n\n\d+ more lines left out/);
  });

  it('leaves a file alone that has no room at all', async () => {
    const before = 'x'.repeat(mebibyte - 50);
    await expect(add(['a long line\n'.repeat(20)], before)).rejects.toThrow('it is full');
    expect(await readFile(join(folder, 'summary.md'), 'utf8')).toBe(before);
  });
});

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RefusedError, UsageError } from '../../src/errors.ts';
import { type FormatSpec, parseFormats } from '../../src/output/formats.ts';
import { openNodeStream } from '../../src/output/node-stream.ts';
import { type OutputOptions, openOutputs } from '../../src/output/outputs.ts';
import { done, failed, MemoryStream, view } from './samples.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenantctl-output-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function options(formats: readonly FormatSpec[], more: Omit<Partial<OutputOptions>, 'stdout' | 'stderr'> = {}) {
  const stdout = new MemoryStream();
  const stderr = new MemoryStream();
  const now = () => new Date('2026-11-22T10:15:00Z');
  return { command: 'migrate', view, formats, env: {}, cwd: folder, now, ...more, stdout, stderr };
}

describe('parseFormats', () => {
  const plainTable = { format: 'table', file: null };
  const plainJson = { format: 'json', file: null };

  it.each<[string, readonly string[], boolean, readonly object[]]>([
    ['nothing', [], false, [plainTable]],
    ['--json', [], true, [plainJson]],
    ['--json and -o json', ['json'], true, [plainJson]],
    [
      'a file alone leaves the table on stdout',
      ['json=a=b.json'],
      false,
      [plainTable, { format: 'json', file: 'a=b.json' }],
    ],
    [
      'two files and --json',
      ['ndjson=x', 'table=y'],
      true,
      [{ format: 'ndjson', file: 'x' }, { format: 'table', file: 'y' }, plainJson],
    ],
  ])('%s', (_name, values, isJson, specs) => {
    expect(parseFormats(values, isJson)).toEqual(specs);
  });

  it.each([
    [['xml'], 'output format "xml" does not exist'],
    [['JUnit=report.xml'], 'output format "JUnit" does not exist'],
    [['json='], 'no file is named in "-o json="'],
    [['json', 'table'], 'only one output format can go to stdout, not json and table'],
  ])('refuses %j', (values, message) => {
    const parse = () => parseFormats(values);
    expect(parse).toThrow(UsageError);
    expect(parse).toThrow(message);
  });

  it.each([
    [['xml'], 'the formats are table, json, ndjson, junit, github, prometheus, each also as <format>=<file>'],
    [['junit='], '-o junit=report.xml'],
    [['junit', 'json'], 'write the others to files: -o json=report.json'],
    // GitHub reads its commands on stdout and nowhere else.
    [['table', 'github'], 'write the others to files: -o table=report.txt'],
    [['github', 'junit'], 'write the others to files: -o junit=report.xml'],
  ])('says for %j what to write', (values, hint) => {
    expect(() => parseFormats(values)).toThrow(expect.objectContaining({ hint }));
  });
});

describe('openOutputs', () => {
  const result = { outcomes: [done('a', 1), failed('b')], run: 'r1' };

  it('writes each report to its place and answers the exit code', async () => {
    const given = options(parseFormats(['json', 'ndjson=events.ndjson', 'table=table.txt']));
    const outputs = await openOutputs(given);
    outputs.emit({ type: 'settled', outcome: result.outcomes[0]! });
    expect(await readFile(join(folder, 'events.ndjson.partial'), 'utf8')).toContain('"tenant":"a"');
    expect(await outputs.finish(result, { durationMs: 10 })).toBe(3);
    expect(JSON.parse(given.stdout.text)).toMatchObject({ exitCode: 3, totals: { selected: 2, done: 1, failed: 1 } });
    expect((await readFile(join(folder, 'events.ndjson'), 'utf8')).trimEnd().split('\n')).toHaveLength(4);
    expect(await readFile(join(folder, 'table.txt'), 'utf8')).toContain(
      '2 tenants: 1 done, 1 failed in 10 ms (run r1)',
    );
    expect((await readdir(folder)).sort()).toEqual(['events.ndjson', 'table.txt']);
    expect(given.stderr.text).toBe('');
  });

  it('keeps stdout one json document while progress is drawn and when the run was interrupted', async () => {
    const given = { ...options(parseFormats([], true), { color: 'never' }), stderr: new MemoryStream({ isTTY: true }) };
    const outputs = await openOutputs(given);
    outputs.emit({ type: 'phase', name: 'migrating', servers: new Map([['main', 2]]) });
    outputs.emit({ type: 'settled', outcome: result.outcomes[1]! });
    expect(await outputs.finish(result, { durationMs: 10, interrupted: 'SIGINT' })).toBe(130);
    expect(JSON.parse(given.stdout.text).exitCode).toBe(130);
    expect(given.stderr.text).toMatch(/^failed b/u);
  });

  it('asks the command what is a finding, once for all formats', async () => {
    const given = options(parseFormats([], true), { view: { ...view, isFinding: (it) => it.tenant.id === 'a' } });
    const outputs = await openOutputs(given);
    expect(
      await outputs.finish(
        { outcomes: [done('a'), done('b')], findings: [{ message: 'one' }, { message: 'two' }] },
        { durationMs: 1 },
      ),
    ).toBe(1);
    const document = JSON.parse(given.stdout.text);
    expect(document.totals.findings).toBe(3);
    expect(document.outcomes.map((it: { finding: boolean }) => it.finding)).toEqual([true, false]);
  });

  it('tells the command that its reports were delivered, and only then', async () => {
    const told: string[] = [];
    const finish = async (formats: readonly string[], delivered: () => Promise<void>) => {
      const given = options(parseFormats(formats));
      const code = await (await openOutputs(given)).finish({ outcomes: [done('a')], delivered }, { durationMs: 1 });
      return [code, given.stdout.text === '' ? '' : 'printed', given.stderr.text];
    };
    const deliver = async () => void told.push('delivered');
    expect(await finish(['json=report.json', 'table'], deliver)).toEqual([0, 'printed', '']);
    expect(told).toEqual(['delivered']);
    const full = await finish(['json=/dev/full', 'table'], deliver);
    expect(full).toEqual([3, 'printed', expect.stringContaining('/dev/full: ENOSPC')]);
    expect(told).toEqual(['delivered']);
    const refused = await finish(['table'], async () =>
      Promise.reject(new RefusedError('no room', { hint: 'make some' })),
    );
    expect(refused).toEqual([3, 'printed', 'error: no room\nhint: make some\n']);
  });

  it('finds out before the run what cannot be written, and leaves nothing behind', async () => {
    const formats = parseFormats(['json=good.json', 'ndjson=no/such/folder.ndjson']);
    await expect(openOutputs(options(formats))).rejects.toThrow(
      'cannot write the report no/such/folder.ndjson: ENOENT',
    );
    await expect(openOutputs(options(parseFormats(['json=.'])))).rejects.toThrow('it is a directory');
    await expect(openOutputs(options(parseFormats(['json=x', 'table=x'])))).rejects.toThrow(UsageError);
    expect(await readdir(folder)).toEqual([]);
  });

  it('tells programs of an error, and people nothing on stdout', async () => {
    const error = new RefusedError('no', { hint: 'ask again' });
    const given = options(parseFormats(['table', 'json=report.json', 'ndjson=report.ndjson']));
    await (await openOutputs(given)).fail(error, { durationMs: 7 });
    expect(given.stdout.text).toBe('');
    const expected = { exitCode: 5, durationMs: 7, error: { message: 'no', details: [], hint: 'ask again' } };
    expect(JSON.parse(await readFile(join(folder, 'report.json'), 'utf8'))).toMatchObject({
      ...expected,
      outcomes: [],
    });
    const lines = (await readFile(join(folder, 'report.ndjson'), 'utf8')).trimEnd().split('\n');
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ type: 'summary', ...expected });
  });

  it('tells CI of an error too', async () => {
    const error = new RefusedError('no', { hint: 'ask again' });
    const env = { GITHUB_STEP_SUMMARY: 'summary.md' };
    const given = options(parseFormats(['github', 'junit=report.xml']), { env });
    await (await openOutputs(given)).fail(error, { durationMs: 7 });
    expect(given.stdout.text).toBe('::error title=tenantctl migrate%3A refused::no%0Ahint: ask again\n');
    expect(await readFile(join(folder, 'report.xml'), 'utf8')).toContain('<error type="exit 5" message="no">');
    expect(await readFile(join(folder, 'summary.md'), 'utf8')).toContain('| refused | no<br>hint\\: ask again |');
  });

  it('adds one step summary for all github formats, and none without', async () => {
    const env = { GITHUB_STEP_SUMMARY: 'summary.md' };
    for (const formats of [['github', 'github=log.txt'], ['json'], ['junit=report.xml']]) {
      const outputs = await openOutputs(options(parseFormats(formats), { env }));
      await outputs.finish(result, { durationMs: 1 });
    }
    expect((await readFile(join(folder, 'summary.md'), 'utf8')).match(/^## tenantctl migrate$/gm)).toHaveLength(1);
    expect(await readFile(join(folder, 'log.txt'), 'utf8')).toMatch(/^::error /);
  });

  it('takes a step summary that cannot be written for a warning', async () => {
    for (const [file, reason] of [
      ['no/such/summary.md', 'ENOENT'],
      ['.', 'EISDIR'],
    ] as const) {
      const given = options(parseFormats(['github']), { env: { GITHUB_STEP_SUMMARY: file } });
      const outputs = await openOutputs(given);
      expect(await outputs.finish({ outcomes: [done('a')] }, { durationMs: 1 })).toBe(0);
      expect(given.stderr.text).toBe(`warning: cannot write the step summary to ${file}: ${reason}\n`);
      expect(given.stdout.text).toBe('1 tenant: 1 done in 1 ms\n');
    }
  });

  it('replaces what a link points to', async () => {
    await writeFile(join(folder, 'real.json'), 'old');
    await symlink('real.json', join(folder, 'link.json'));
    const outputs = await openOutputs(options(parseFormats(['json=link.json'])));
    await outputs.finish(result, { durationMs: 1 });
    expect(JSON.parse(await readFile(join(folder, 'real.json'), 'utf8')).exitCode).toBe(3);
    expect((await readdir(folder)).sort()).toEqual(['link.json', 'real.json']);
  });

  it.skipIf(!existsSync('/dev/full'))('takes a report that could not be written for no success', async () => {
    const given = options(parseFormats(['json=/dev/full'], true));
    const outputs = await openOutputs(given);
    expect(await outputs.finish({ outcomes: [done('a')] }, { durationMs: 1 })).toBe(3);
    expect(given.stderr.text).toBe('error: cannot write the report to /dev/full: ENOSPC\n');
    expect(JSON.parse(given.stdout.text).exitCode).toBe(3);
  });

  it('writes a document of 5,000 tenants to a slow reader piece by piece', async () => {
    let waiting = 0;
    let text = '';
    const stdout = {
      isTTY: false,
      columns: 80,
      async write(piece: string) {
        waiting += 1;
        expect(waiting).toBe(1);
        await new Promise(setImmediate);
        text += piece;
        waiting -= 1;
      },
    };
    const outputs = await openOutputs({ ...options(parseFormats([], true)), stdout });
    const outcomes = Array.from({ length: 5000 }, (_, i) => done(`t${i}`, 'x'.repeat(300)));
    expect(await outputs.finish({ outcomes }, { durationMs: 1 })).toBe(0);
    expect(JSON.parse(text).outcomes).toHaveLength(5000);
  });
});

const run = promisify(execFile);
const source = (file: string) => JSON.stringify(new URL(`../../src/output/${file}`, import.meta.url).href);

it.each([
  ['nothing for a short run with nothing to show', '[]', []],
  ['the table library when there are rows', "[{ tenant: { id: 'a' }, status: 'done' }]", ['cli-table3']],
])('loads %s', async (_name, outcomes, libraries) => {
  const script = `
    const { registerHooks } = await import('node:module');
    const loaded = [];
    registerHooks({ resolve: (name, context, next) => (loaded.push(name), next(name, context)) });
    const { openOutputs } = await import(${source('outputs.ts')});
    const stream = { isTTY: true, columns: 80, write() {} };
    const view = { columns: ['tenant'], row: (outcome) => [outcome.tenant.id] };
    const outputs = await openOutputs({ command: 'migrate', view, formats: [{ format: 'table', file: null }],
      stdout: stream, stderr: stream, env: {}, cwd: '.', now: () => new Date() });
    outputs.emit({ type: 'phase', name: 'reading', servers: new Map([['main', 1]]) });
    outputs.emit({ type: 'phase-ended', name: 'reading' });
    await outputs.finish({ outcomes: ${outcomes} }, { durationMs: 1 });
    console.log(JSON.stringify(loaded.filter((name) => name === 'listr2' || name === 'cli-table3')));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script]);
  expect(JSON.parse(stdout)).toEqual(libraries);
});

it('does not take a reader that goes away for a crash', async () => {
  const script = `
    const { openNodeStream } = await import(${source('node-stream.ts')});
    const stdout = openNodeStream(process.stdout);
    for (let i = 0; i < 2000; i += 1) await stdout.write('x'.repeat(1000) + '\\n');
    await stdout.flush();
    process.stderr.write('flushed');`;
  const command = '"$0" --input-type=module -e "$1" | head -n 1';
  const { stdout, stderr } = await run('sh', ['-c', command, process.execPath, script]);
  expect(stdout).toHaveLength(1001);
  expect(stderr).toContain('flushed');
});

it('tells of a full disk behind stdout', async () => {
  const failing = Object.assign(new MemoryStream(), {
    write(_: string, ended?: () => void) {
      ended?.();
      return true;
    },
    on(event: string, listener: (error: NodeJS.ErrnoException) => void) {
      if (event === 'error') listener(Object.assign(new Error('no space'), { code: 'ENOSPC' }));
    },
  });
  await expect(openNodeStream(failing).flush()).rejects.toThrow('no space');
});

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { parseFormats } from '../../src/output/formats.ts';
import { openOutputs } from '../../src/output/outputs.ts';
import { prometheusReport } from '../../src/output/report-prometheus.ts';
import type { CommandView } from '../../src/output/result.ts';
import { readPrometheus } from './prometheus-reader.ts';
import { done, failed, MemoryStream, readAll, view } from './samples.ts';

const hostile = 'a"b\\c\nd\\n{},=é';
const watched: CommandView = {
  ...view,
  metrics: ({ outcomes }, at) => [
    { name: 'x_count', help: 'How many.', samples: [{ labels: {}, value: outcomes.length }] },
    { name: 'x_time', help: 'When.', samples: [{ labels: { of: 'report' }, value: at.getTime() / 1000 }] },
  ],
};

describe('the text', () => {
  it('is read back as it was meant, whatever the labels hold', async () => {
    const samples = [
      { labels: { tenant: hostile, level: 'content' }, value: 1_790_000_000.123 },
      { labels: { tenant: 'acme', level: '' }, value: 0 },
    ];
    const text = await readAll(prometheusReport([{ name: 'x', help: 'One \\ two\nlines.', samples }]));
    expect(readPrometheus(text)).toEqual(samples.map((sample) => ({ name: 'x', ...sample })));
    expect(text.split('\n').slice(0, 2)).toEqual(['# HELP x One \\\\ two\\nlines.', '# TYPE x gauge']);
  });

  it('has no head for a metric without samples', async () => {
    expect(await readAll(prometheusReport([{ name: 'x', help: 'Nothing.', samples: [] }]))).toBe('');
  });

  it('would be refused by the reader of this test when it is wrong', () => {
    for (const wrong of [
      'x 1',
      '# TYPE x gauge\nx{a="b} 1\n',
      '# TYPE x gauge\nx 1\nx 2\n',
      '# TYPE x gauge\nx NaN\n',
    ]) {
      expect(() => readPrometheus(wrong)).toThrow();
    }
  });
});

describe('-o prometheus', () => {
  const now = () => new Date('2026-11-22T10:15:00Z');
  const open = async (formats: readonly string[], used: CommandView = watched) => {
    const folder = await mkdtemp(join(tmpdir(), 'tenantctl-metrics-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const [stdout, stderr] = [new MemoryStream(), new MemoryStream()];
    const options = { command: 'x', stdout, stderr, env: {}, cwd: folder, now, formats: parseFormats(formats) };
    return { folder, stdout, opened: openOutputs({ ...options, view: used }) };
  };

  it('goes to stdout, or is whole in a file', async () => {
    const plain = await open(['prometheus']);
    await (await plain.opened).finish({ outcomes: [done('a')] }, { durationMs: 1 });
    expect(readPrometheus(plain.stdout.text).map(({ value }) => value)).toEqual([1, 1_795_342_500]);

    const { folder, stdout, opened } = await open(['json', 'prometheus=x.prom']);
    await (await opened).finish({ outcomes: [done('a'), failed('b')] }, { durationMs: 1 });
    expect(readPrometheus(await readFile(join(folder, 'x.prom'), 'utf8'))[0]?.value).toBe(2);
    expect(JSON.parse(stdout.text)).toMatchObject({ exitCode: 3 });
    expect(await readdir(folder)).toEqual(['x.prom']);
  });

  it('leaves the old file where the command came to nothing', async () => {
    const { folder, opened } = await open(['prometheus=x.prom']);
    await writeFile(join(folder, 'x.prom'), 'x_old 1\n');
    await (await opened).fail(new UsageError('no'), { durationMs: 1 });
    expect(await readFile(join(folder, 'x.prom'), 'utf8')).toBe('x_old 1\n');

    for (const [outcomes, end] of [
      [[failed('a')], { durationMs: 1 }],
      [[], { durationMs: 1, interrupted: 'SIGTERM' as const }],
    ] as const) {
      const again = await open(['prometheus=x.prom']);
      await writeFile(join(again.folder, 'x.prom'), 'x_old 1\n');
      await (await again.opened).finish({ outcomes }, end);
      expect(await readFile(join(again.folder, 'x.prom'), 'utf8')).toBe('x_old 1\n');
      expect(await readdir(again.folder)).toEqual(['x.prom']);
    }
  });

  it('is a mistake with a command that has no metrics, and nothing is opened', async () => {
    const { folder, opened } = await open(['json=x.json', 'prometheus=x.prom'], view);
    await expect(opened).rejects.toThrow(UsageError);
    await expect(opened).rejects.toThrow('tenantctl x has no output format prometheus');
    expect(await readdir(folder)).toEqual([]);
  });
});

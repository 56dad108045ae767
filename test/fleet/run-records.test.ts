import { appendFile, mkdir, rename, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { Ledger, type Manifest, type RunEnd } from '../../src/fleet/ledger.ts';
import type { Outcome } from '../../src/fleet/outcome.ts';
import { countRun, listRuns, readRun, runState } from '../../src/fleet/run-records.ts';
import { openFolder } from '../support/folders.ts';
import { makeTenants } from './run-harness.ts';

const now = new Date();
const tenants = makeTenants(3);
const done = (index: number): Outcome => ({ tenant: tenants[index]!, status: 'done', value: null, durationMs: 5 });

/** Writes a run with these outcomes; without an end, it is as one that was killed. */
async function record(state: string, outcomes: readonly Outcome[], run: string, end: Partial<RunEnd> | null = null) {
  const manifest: Manifest = {
    schema: 'tenantctl/1',
    run,
    command: 'migrate',
    startedAt: now.toISOString(),
    environment: 'test',
    version: '0.0.0',
    options: {},
    tenants: tenants.map(({ id }) => id),
  };
  const ledger = await Ledger.create(state, manifest);
  for (const outcome of outcomes) ledger.record(outcome, now);
  const problem =
    end === null ? await ledger.close() : await ledger.end({ endedAt: now.toISOString(), interrupted: false, ...end });
  expect(problem).toBeNull();
  return { folder: join(state, 'runs', run), manifest };
}

const later = new Date(now.getTime() + 3_600_000);

describe('readRun', () => {
  it('finds a run by its last part', async () => {
    const state = await openFolder();
    await record(state, [done(0)], '2026-11-22T101530Z-aaaa');
    await record(state, [done(1)], '2026-11-22T101531Z-bbbb');
    expect((await readRun(state, 'bbbb')).manifest.run).toBe('2026-11-22T101531Z-bbbb');
  });

  it('does not guess when that names several', async () => {
    const state = await openFolder();
    for (const run of ['2026-11-22T101530Z-aaaa', '2026-11-23T101530Z-aaaa']) await record(state, [], run);
    const attempt = readRun(state, 'aaaa');
    await expect(attempt).rejects.toThrow(UsageError);
    await expect(attempt).rejects.toThrow('2026-11-22T101530Z-aaaa, 2026-11-23T101530Z-aaaa');
    expect((await readRun(state, '2026-11-23T101530Z-aaaa')).manifest.run).toBe('2026-11-23T101530Z-aaaa');
  });

  it.each(['zzzz', '', '..', 'aaa', '/'])('knows no run %j', async (wanted) => {
    const state = await openFolder();
    await record(state, [], '2026-11-22T101530Z-aaaa');
    await expect(readRun(state, wanted)).rejects.toThrow(UsageError);
    await expect(readRun(join(state, 'elsewhere'), wanted)).rejects.toThrow(UsageError);
  });

  it('knows no run that was killed before its manifest stood', async () => {
    const state = await openFolder();
    const { folder, manifest } = await record(state, [], '2026-11-22T101530Z-aaaa');
    await rename(join(folder, 'manifest.json'), join(folder, 'manifest.json.partial'));
    await appendFile(join(folder, 'manifest.json.partial'), '{"cut');
    await expect(readRun(state, manifest.run)).rejects.toThrow(UsageError);
  });
});

describe('what became of a run', () => {
  const states = [
    ['it recorded its end', [done(0)], {}, 'finished'],
    ['it was stopped', [done(0)], { interrupted: true }, 'interrupted'],
    ['it ended with an error', [done(0)], { interrupted: true, error: 'no more memory' }, 'broken'],
    ['it has no end', [done(0)], null, 'killed'],
    ['it has none, but a word on each tenant', [done(0), done(1), done(2)], null, 'finished'],
  ] as const;

  it.each(states)('%s', async (_, outcomes, end, expected) => {
    const state = await openFolder();
    await record(state, outcomes, '2026-11-22T101530Z-aaaa', end);
    expect(runState(await readRun(state, 'aaaa'), later)).toBe(expected);
  });

  it('goes on as long as it gives signs of life', async () => {
    const state = await openFolder();
    const { folder } = await record(state, [done(0)], '2026-11-22T101530Z-aaaa');
    await utimes(join(folder, 'outcomes.ndjson'), now, now);
    const at = async (ms: number) => runState(await readRun(state, 'aaaa'), new Date(now.getTime() + ms));
    expect([await at(0), await at(29_000), await at(31_000)]).toEqual(['running', 'running', 'killed']);
  });

  it('is counted tenant by tenant, shared schemas left out', async () => {
    const state = await openFolder();
    const shared = { ...tenants[0]!, id: 'shared:main/saas/public', schema: 'public' };
    const failed: Outcome = {
      tenant: tenants[2]!,
      status: 'failed',
      step: null,
      error: { message: 'x' },
      durationMs: 1,
    };
    await record(state, [done(0), failed, { ...done(0), tenant: shared }], '2026-11-22T101530Z-aaaa');
    const totals = { tenants: 3, done: 1, failed: 1, hibernated: 0, interrupted: 0, skipped: 0, unsettled: 1 };
    expect(countRun(await readRun(state, 'aaaa'))).toEqual(totals);
  });

  it('has the tenants, too, that were born while it went on', async () => {
    const state = await openFolder();
    await record(state, [{ ...done(0), tenant: { ...tenants[0]!, id: 'born' } }], '2026-11-22T101530Z-aaaa');
    expect((await readRun(state, 'aaaa')).tenants).toEqual(['t0', 't1', 't2', 'born']);
  });

  it('leaves out lines of another kind, and damaged ones', async () => {
    const state = await openFolder();
    const { folder } = await record(state, [done(0)], '2026-11-22T101530Z-aaaa');
    const strange = [
      '{"tenant":"t1","status":"teleported"}',
      '{"tenant":5}',
      'null',
      '[]',
      '"x"',
      '{"joined":3}',
      '{"cut',
    ];
    await appendFile(
      join(folder, 'outcomes.ndjson'),
      `${strange.join('\n')}\n${JSON.stringify({ tenant: 't2', status: 'done' })}\n`,
    );
    const { entries, tenants: all } = await readRun(state, 'aaaa');
    expect([[...entries.keys()], all]).toEqual([
      ['t0', 't2'],
      ['t0', 't1', 't2'],
    ]);
  });
});

describe('listRuns', () => {
  it('knows of none where nothing has run', async () => {
    expect(await listRuns(join(await openFolder(), 'nowhere'), 20)).toEqual({ runs: [], total: 0 });
  });

  it('gives the newest first, as many as are asked for', async () => {
    const state = await openFolder();
    const ids = ['2026-11-22T101530Z-bbbb', '2027-01-01T000000Z-aaaa', '2026-11-22T101531Z-aaab'];
    for (const id of ids) await record(state, [], id);
    const { runs, total } = await listRuns(state, 2);
    expect(runs.map((run) => 'manifest' in run && run.manifest.run)).toEqual([ids[1], ids[2]]);
    expect(total).toBe(3);
  });

  it('shows what is damaged or foreign as such, after the others', async () => {
    const state = await openFolder();
    const damaged = {
      '2026-11-22T000001Z-aaaa': '{"schema":',
      '2026-11-22T000002Z-aaaa': '{"schema":"tenantctl/9","run":"x"}',
      '2026-11-22T000003Z-aaaa': null,
      '2026-11-22T000004Z-aaaa': 'null',
      'lost+found': null,
    };
    for (const [name, manifest] of Object.entries(damaged)) {
      await mkdir(join(state, 'runs', name), { recursive: true });
      if (manifest !== null) await writeFile(join(state, 'runs', name, 'manifest.json'), manifest);
    }
    await writeFile(join(state, 'runs', 'README'), 'a file is no run');
    await mkdir(join(state, 'runs', '.hidden'));
    await symlink('nowhere', join(state, 'runs', '2026-11-22T000005Z-aaaa'));
    await mkdir(join(state, 'runs', '2026-11-22T000006Z-aaaa', 'manifest.json'), { recursive: true });
    await record(state, [done(0)], '2026-11-22T000000Z-good');
    const { runs } = await listRuns(state, 20);
    expect(runs.map((run) => ('problem' in run ? run.folder : `${run.manifest.run} is read`))).toEqual([
      '2026-11-22T000006Z-aaaa',
      '2026-11-22T000005Z-aaaa',
      '2026-11-22T000004Z-aaaa',
      '2026-11-22T000003Z-aaaa',
      '2026-11-22T000002Z-aaaa',
      '2026-11-22T000001Z-aaaa',
      '2026-11-22T000000Z-good is read',
      'lost+found',
    ]);
    for (const run of runs) if ('problem' in run) expect(run.problem).toMatch(/manifest|EISDIR/);
  });

  it('says so when the folder itself cannot be read', async () => {
    const state = await openFolder();
    await writeFile(join(state, 'runs'), 'a file');
    await expect(listRuns(state, 20)).rejects.toThrow(UsageError);
  });
});

import { readFile, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { RefusedError } from '../../src/errors.ts';
import { isRunId, Ledger, type Manifest, newRunId } from '../../src/fleet/ledger.ts';
import type { Outcome } from '../../src/fleet/outcome.ts';
import { readRun, runState } from '../../src/fleet/run-records.ts';
import { openFolder } from '../support/folders.ts';
import { makeTenants } from './run-harness.ts';

const now = new Date('2026-11-22T10:15:30.123Z');
const tenants = makeTenants(4);

function manifest(run = newRunId(now)): Manifest {
  return {
    schema: 'tenantctl/1',
    run,
    command: 'migrate',
    startedAt: now.toISOString(),
    environment: 'test',
    version: '0.0.0',
    options: { to: '0005' },
    tenants: tenants.map(({ id }) => id),
  };
}

function done(index: number, value: unknown = null): Outcome {
  return { tenant: tenants[index]!, status: 'done', value, durationMs: 5 };
}

/** Writes a run with these outcomes; gives its id and its file of outcomes. */
async function record(state: string, outcomes: readonly Outcome[], run?: string) {
  const ledger = await Ledger.create(state, manifest(run));
  for (const outcome of outcomes) ledger.record(outcome, now);
  expect(await ledger.close()).toBeNull();
  return { run: ledger.run, file: join(state, 'runs', ledger.run, 'outcomes.ndjson') };
}

describe('a recorded run', () => {
  it('is read back as it was written, the last word on each tenant', async () => {
    const state = await openFolder();
    const error = { message: 'relation "x\n" already exists', sqlState: '42P07', file: '0001_ü.sql', line: 2 };
    const { run } = await record(state, [
      done(0, { applied: ['0001'] }),
      { tenant: tenants[1]!, status: 'failed', step: '0001', error, durationMs: 9 },
      { tenant: tenants[2]!, status: 'skipped', reason: 'not-started', because: 'the canary failed', durationMs: 0 },
      { tenant: tenants[1]!, status: 'interrupted', step: '0002', durationMs: 3 },
    ]);
    const record1 = await readRun(state, run);
    const settledAt = now.toISOString();
    expect(record1.manifest).toEqual(manifest(run));
    const place = (index: number) => ({ server: 'main', database: 'saas', schema: `tenant_t${index}` });
    expect([...record1.entries]).toEqual([
      ['t0', { tenant: 't0', ...place(0), status: 'done', value: { applied: ['0001'] }, durationMs: 5, settledAt }],
      ['t1', { tenant: 't1', ...place(1), status: 'interrupted', step: '0002', durationMs: 3, settledAt }],
      [
        't2',
        {
          tenant: 't2',
          ...place(2),
          status: 'skipped',
          reason: 'not-started',
          because: 'the canary failed',
          durationMs: 0,
          settledAt,
        },
      ],
    ]);
  });

  it('can be read when it was killed at any byte', async () => {
    const state = await openFolder();
    const { run, file } = await record(state, [done(0), done(1, 'ä€😀')]);
    const whole = await readFile(file);
    const firstLine = whole.indexOf('\n') + 1;
    for (let size = whole.length; size >= 0; size -= 1) {
      await truncate(file, size);
      const { entries } = await readRun(state, run);
      // The line end itself may be missing: the line is whole then.
      const lines = size >= whole.length - 1 ? 2 : size >= firstLine - 1 ? 1 : 0;
      expect([...entries.keys()]).toEqual(['t0', 't1'].slice(0, lines));
    }
  });

  it('has its manifest on disk, and nothing else, before the first tenant', async () => {
    const state = await openFolder();
    const ledger = await Ledger.create(state, manifest());
    const { manifest: read, entries } = await readRun(state, ledger.run);
    expect(read.tenants).toEqual(['t0', 't1', 't2', 't3']);
    expect(entries.size).toBe(0);
    await ledger.close();
  });

  it('writes outcomes while the run goes on, those of one moment together', async () => {
    const state = await openFolder();
    const ledger = await Ledger.create(state, manifest());
    const { FileHandle } = await fileHandleClass(state);
    const appends = vi.spyOn(FileHandle, 'appendFile');
    const flushes = vi.spyOn(FileHandle, 'datasync');
    onTestFinished(() => void vi.restoreAllMocks());
    for (const index of [0, 1, 2]) ledger.record(done(index), now);
    await vi.waitFor(async () => expect((await readRun(state, ledger.run)).entries.size).toBe(3));
    ledger.record(done(3), now);
    expect(await ledger.close()).toBeNull();
    expect((await readRun(state, ledger.run)).entries.size).toBe(4);
    expect(appends).toHaveBeenCalledTimes(2);
    expect(flushes).toHaveBeenCalledTimes(2);
  });

  it('says at the end that it is not complete, and does not stop the run', async () => {
    const state = await openFolder();
    const ledger = await Ledger.create(state, manifest());
    const { FileHandle } = await fileHandleClass(state);
    const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    vi.spyOn(FileHandle, 'appendFile').mockRejectedValueOnce(full);
    onTestFinished(() => void vi.restoreAllMocks());
    for (const index of [0, 1]) ledger.record(done(index), now);
    expect(await ledger.close()).toBe(full);
  });

  it('says that it came to its end, in a line of its own', async () => {
    const state = await openFolder();
    const ledger = await Ledger.create(state, manifest());
    ledger.record(done(0), now);
    const end = { endedAt: now.toISOString(), interrupted: true };
    expect(await ledger.end(end)).toBeNull();
    const record1 = await readRun(state, ledger.run);
    expect([record1.end, [...record1.entries.keys()]]).toEqual([end, ['t0']]);
  });

  it('is not taken for killed when the disk was full for a while', async () => {
    const state = await openFolder();
    const ledger = await Ledger.create(state, manifest());
    const { FileHandle } = await fileHandleClass(state);
    const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    ledger.record(done(0), now);
    await vi.waitFor(async () => expect((await readRun(state, ledger.run)).entries.size).toBe(1));
    vi.spyOn(FileHandle, 'appendFile').mockRejectedValueOnce(full);
    onTestFinished(() => void vi.restoreAllMocks());
    ledger.record(done(1), now);
    expect(await ledger.end({ endedAt: now.toISOString(), interrupted: false })).toBe(full);
    const record1 = await readRun(state, ledger.run);
    expect(record1.end).toMatchObject({ interrupted: false, incomplete: true });
    expect([...record1.entries.keys()]).toEqual(['t0']);
  });

  it('takes tenants in that were born while it went on: written down before they are touched', async () => {
    const state = await openFolder();
    const ledger = await Ledger.create(state, manifest());
    await ledger.join(['late', 't1']);
    expect((await readRun(state, ledger.run)).tenants).toEqual(['t0', 't1', 't2', 't3', 'late']);
    await ledger.close();
  });

  it('gives a sign of life every few seconds', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const state = await openFolder();
    const ledger = await Ledger.create(state, manifest());
    const outcomes = join(state, 'runs', ledger.run, 'outcomes.ndjson');
    const longAgo = new Date('2026-01-01T00:00:00Z');
    await utimes(outcomes, longAgo, longAgo);
    expect(runState(await readRun(state, ledger.run), new Date())).toBe('killed');
    vi.advanceTimersByTime(10_000);
    await vi.waitFor(async () => expect(runState(await readRun(state, ledger.run), new Date())).toBe('running'));
    await ledger.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});

/** All open files share one prototype; how often it is used tells how often the disk was asked. */
async function fileHandleClass(folder: string) {
  const { open } = await import('node:fs/promises');
  const handle = await open(join(folder, 'any'), 'w');
  await handle.close();
  return { FileHandle: Object.getPrototypeOf(handle) as typeof handle };
}

describe('Ledger.create', () => {
  it('refuses when the state folder cannot be written', async () => {
    const folder = await openFolder();
    const state = join(folder, 'state');
    await writeFile(state, 'a file, where a folder should be');
    const attempt = Ledger.create(state, manifest());
    await expect(attempt).rejects.toThrow(RefusedError);
    await expect(attempt).rejects.toMatchObject({ hint: expect.stringContaining('state') });
  });

  it('refuses to write into the record of another run', async () => {
    const state = await openFolder();
    const { run } = await record(state, [done(0)]);
    await expect(Ledger.create(state, manifest(run))).rejects.toThrow(RefusedError);
    expect((await readRun(state, run)).entries.size).toBe(1);
  });
});

describe('newRunId', () => {
  it('sorts by time, and differs within one moment', () => {
    const times = ['2026-02-03T04:05:06.007Z', '2026-02-03T04:05:07Z', '2026-11-22T10:15:30Z', '2027-01-01T00:00:00Z'];
    const runs = times.map((time) => newRunId(new Date(time)));
    expect(runs.toSorted()).toEqual(runs);
    expect(runs[0]).toMatch(/^2026-02-03T040506Z-[0-9a-z]{4}$/);
    expect(runs.every(isRunId)).toBe(true);
    expect(['k3f9', '', '2026-02-03T040506Z-k3f9 ', 'x2026-02-03T040506Z-k3f9'].some(isRunId)).toBe(false);
    // Two of a million names may well be equal among so many; a clash is refused when the record is made.
    expect(new Set(Array.from({ length: 50 }, () => newRunId(now))).size).toBeGreaterThan(45);
  });
});

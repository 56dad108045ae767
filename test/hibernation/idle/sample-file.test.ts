import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readOwnSessions, writeOwnSessions } from '../../../src/hibernation/idle/own-sessions.ts';
import { appendSamples, readSamples, replaceSamples, sampleFile } from '../../../src/hibernation/idle/sample-file.ts';
import type { Stretch } from '../../../src/hibernation/idle/stretch.ts';

async function makeFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tenantctl-idle-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return sampleFile(folder, { server: 'a/..', database: 'b' });
}

function sample(at: number, login: Stretch['login'] = null): Stretch {
  const times = { from: at, to: at + 1, samples: 1, longestGapMs: 0 };
  const counted = { before: [1, 2.5], after: [1, 3.5], mark: 'm é', set: '2:7', started: 9, lastScan: null };
  return { ...times, ...counted, isPresent: true, sizeBytes: null, login };
}

const named = (at: number, login?: Stretch['login']) => new Map([['tenant "x"', [sample(at, login)]]]);

test('what is written is read again, in order', async () => {
  const file = await makeFile();
  expect(await readSamples(file)).toEqual({ samples: new Map(), lines: 0, size: 0 });
  await appendSamples(file, named(50, { at: null }));
  await appendSamples(file, named(20));
  const { samples, lines } = await readSamples(file);
  expect(lines).toBe(2);
  expect(samples).toEqual(new Map([['tenant "x"', [sample(20), sample(50, { at: null })]]]));
});

test('cut at any byte, the lines before it and those after it can be read', async () => {
  const file = await makeFile();
  await appendSamples(file, named(1));
  const first = Buffer.byteLength(await readFile(file));
  await appendSamples(file, named(2));
  const whole = await readFile(file);
  for (let length = first; length < whole.length - 1; length += 7) {
    await writeFile(file, whole.subarray(0, length));
    await appendSamples(file, named(3));
    const { samples } = await readSamples(file);
    expect(samples.get('tenant "x"')?.map(({ from }) => from)).toEqual([1, 3]);
  }
});

test('many lines become one, unless somebody wrote meanwhile; nothing else is left', async () => {
  const file = await makeFile();
  for (const at of [1, 2, 3]) await appendSamples(file, named(at));
  const read = await readSamples(file);
  await appendSamples(file, named(4));
  await replaceSamples(file, read, new Map(), 'run');
  expect((await readSamples(file)).lines).toBe(4);
  const again = await readSamples(file);
  await replaceSamples(file, again, again.samples, 'run');
  expect(await readSamples(file)).toMatchObject({ lines: 1, samples: again.samples });
  expect(await readdir(join(file, '..'))).toHaveLength(1);
});

test('own sessions are kept by the line', async () => {
  const file = join(await makeFile(), '..', 'own-sessions.ndjson');
  expect(await readOwnSessions(file, 0)).toEqual([]);
  await writeOwnSessions(file, { from: 1, to: 5, places: [['main', 'a']] });
  await appendFile(file, '{"from":1,"to":6,"pla');
  await writeOwnSessions(file, { from: 8, to: 9, places: [['main', 'b']] });
  expect(await readOwnSessions(file, 0)).toHaveLength(2);
  expect(await readOwnSessions(file, 6)).toEqual([{ from: 8, to: 9, places: [['main', 'b']] }]);
});

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { type HealthCommandOptions, runHealthCommand } from '../../../src/commands/migrate/health-command.ts';
import { eventually } from '../../support/barrier.ts';
import { makeContext, type TestContext } from '../../support/in-fleet.ts';

/** The dearest cases are left to `npm run test:soak`. */
const soak = process.env.TENANTCTL_SOAK === '1';

const PATH = process.env.PATH;

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tenantctl-health-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function run(command: string, options: Partial<HealthCommandOptions> = {}, at?: TestContext) {
  const { context } = at ?? makeContext(await makeFolder(), { PATH });
  return runHealthCommand(context, command, { facts: {}, input: '', ...options });
}

/** Whether a process runs; one that is dead and was not fetched by its parent does not. */
async function isRunning(pid: number): Promise<boolean> {
  const state = await promisify(execFile)('ps', ['-o', 'stat=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return state.stdout.trim() !== '' && !state.stdout.startsWith('Z');
}

test('it is well when it ends with 0, whatever it says', async () => {
  expect(await run('echo fine; echo "no worry" >&2')).toMatchObject({ problem: null });
});

test('facts beside the environment, tenants on standard input, our folder', async () => {
  const folder = await makeFolder();
  const at = makeContext(folder, { PATH, OWN: 'kept', UNSET: undefined });
  const command = 'cat > in.txt; echo "$OWN $FACT $(printenv UNSET || echo unset)" > out.txt';
  expect(await run(command, { facts: { FACT: 'new' }, input: 'acme\nglobex\n' }, at)).toEqual({
    problem: null,
    lastLines: [],
  });
  expect(await readFile(join(folder, 'in.txt'), 'utf8')).toBe('acme\nglobex\n');
  expect(await readFile(join(folder, 'out.txt'), 'utf8')).toBe('kept new unset\n');
});

test('what it reads not does not matter', async () => {
  expect(await run('exec <&-; sleep 0.3', { input: 'tenant\n'.repeat(100_000) })).toEqual({
    problem: null,
    lastLines: [],
  });
});

test.each([
  ['exit 3', 'ended with exit code 3'],
  ['kill -KILL $$', 'was ended by SIGKILL'],
  ['no-such-program-anywhere', 'ended with exit code 127'],
])('%s: %s', async (command, problem) => {
  expect(await run(command)).toMatchObject({ problem });
});

test('no folder, no run', async () => {
  expect(await run('true', {}, makeContext('/no/such/folder', { PATH }))).toEqual({
    problem: 'could not be run: ENOENT',
    lastLines: [],
  });
});

test('an environment that is too large is said, not thrown', async () => {
  const facts = { HUGE: 'x'.repeat(4_000_000) };
  expect(await run('true', { facts })).toEqual({ problem: 'could not be run: E2BIG', lastLines: [] });
});

test('the end of what it said is kept, and only that', async () => {
  const { lastLines } = await run('seq 1 200000; echo; printf "%0400d\\n" 7; printf "lärm" >&2; exit 1');
  expect(lastLines).toHaveLength(10);
  expect(lastLines[0]).toBe('199993');
  expect(lastLines.slice(7)).toEqual(['200000', `${'0'.repeat(300)}…`, 'lärm']);
});

test('a child left behind that holds its output keeps nobody', async () => {
  const result = await run('sleep 60 & echo $!');
  onTestFinished(() => void process.kill(Number(result.lastLines[0]), 'SIGKILL'));
  expect(result).toMatchObject({ problem: null, lastLines: [expect.stringMatching(/^\d+$/)] });
});

/** A command in the middle, and its processes. */
async function startLong(command: string, timeLimitMs?: number) {
  const folder = await makeFolder();
  const at = makeContext(folder, { PATH });
  const ended = run(command, timeLimitMs === undefined ? {} : { timeLimitMs }, at);
  const read = (name: string) =>
    eventually(`the command writes ${name}`, async () => {
      return Number(await readFile(join(folder, name), 'utf8').catch(() => '')) || null;
    });
  const pids = [await read('leader'), await read('child')];
  onTestFinished(() => {
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone, as it should be.
      }
    }
  });
  return { at, ended, pids };
}

const withChild = 'echo $$ > leader; sleep 60 & echo $! > child; wait';
const withStubbornChild = `echo $$ > leader; (trap "" TERM; sleep 60 & echo $! > child; wait; wait) & wait`;

test.each([...(soak ? [['a child', withChild]] : []), ['a child that does not listen', withStubbornChild]])(
  'it is ended with %s when the operator cancels',
  async (_what, command) => {
    const { at, ended, pids } = await startLong(command);
    at.interrupt('stop');
    at.interrupt('cancel');
    expect(await ended).toMatchObject({ problem: 'was cancelled' });
    expect(await Promise.all(pids.map(isRunning))).toEqual([false, false]);
  },
);

test('the first Ctrl-C lets it end', async () => {
  const folder = await makeFolder();
  const at = makeContext(folder, { PATH });
  const ended = run('echo $$ > leader; until [ -e go ]; do sleep 0.05; done', {}, at);
  await eventually('it runs', () => readFile(join(folder, 'leader')).catch(() => null));
  at.interrupt('stop');
  await writeFile(join(folder, 'go'), '');
  expect(await ended).toMatchObject({ problem: null });
});

test.runIf(soak)('it is ended with its children when its time is up', async () => {
  const { ended, pids } = await startLong(withChild, 1500);
  expect(await ended).toMatchObject({ problem: 'did not end within 1.5 s' });
  expect(await Promise.all(pids.map(isRunning))).toEqual([false, false]);
});

test('who leaves at once does not wait for it; it is ended all the same', async () => {
  const { at, ended, pids } = await startLong(withStubbornChild);
  at.interrupt('stop');
  at.interrupt('cancel');
  at.interrupt('abandon');
  expect((await ended).problem).toBe('was cancelled');
  await eventually('its processes are gone', async () => {
    return (await Promise.all(pids.map(isRunning))).includes(true) ? null : true;
  });
});

test('a run that was cancelled starts none', async () => {
  const folder = await makeFolder();
  const at = makeContext(folder, { PATH });
  at.interrupt('cancel');
  expect((await run('touch ran', {}, at)).problem).toContain('was not run');
  await expect(readFile(join(folder, 'ran'))).rejects.toThrow('ENOENT');
});

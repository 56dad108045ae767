import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { OutputStream } from '../../src/context.ts';
import { openProgress } from '../../src/output/open-progress.ts';
import type { ProgressOptions } from '../../src/output/progress.ts';
import { makeStyle, noStyle } from '../../src/output/style.ts';
import { done, failed, interrupted, MemoryStream, skipped, tenant } from './samples.ts';
import { Screen } from './screen.ts';

const hostile = 'evil\u001b[2J\u001b]0;x\u0007\u202e\nfake line';

function open(stderr: OutputStream, more: Partial<ProgressOptions> = {}) {
  return openProgress({ stderr, env: {}, style: noStyle, now: () => new Date(), ...more });
}

function phase(...servers: readonly (readonly [string, number])[]) {
  return { type: 'phase', name: 'migrating', servers: new Map(servers) } as const;
}

const settled = (outcome: ReturnType<typeof done>) => ({ type: 'settled', outcome }) as const;

/** Lets timers fire and the display's library arrive. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  await vi.dynamicImportSettled();
  await vi.advanceTimersByTimeAsync(0);
}

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2026-11-22T10:15:00Z') });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a fleet that fails as a whole', () => {
  const failures = (verbose: boolean) => {
    const stderr = new MemoryStream();
    const progress = open(stderr, { verbose });
    for (let i = 0; i < 500; i += 1) progress.onEvent(settled(failed(`t${i}`)));
    progress.onEvent(settled(failed('other', { message: 'another thing' })));
    progress.close();
    return stderr.text.trimEnd().split('\n');
  };

  it('shows ten failures of a cause and says that there are more', () => {
    const lines = failures(false);
    expect(lines).toHaveLength(12);
    expect(lines[10]).toContain('failed more tenants for this cause: the report counts them');
    expect(lines[11]).toContain('another thing');
  });

  it('shows all of them with --verbose', () => {
    expect(failures(true)).toHaveLength(501);
  });
});

describe('on a terminal', () => {
  it('draws one line a server, and failures stay above it', async () => {
    const screen = new Screen(80);
    const style = makeStyle('always', {}, screen);
    const progress = open(screen, { style });
    progress.onEvent(phase(['main', 4], ['eu-west', 100]));
    progress.onEvent(settled(failed('early')));
    await pass(300);
    expect(screen.lines.slice(0, 4)).toEqual([
      'failed early (0003_tasks): 42P07 relation "tasks" already exists (0003_tasks.s…',
      'migrating: 1 of 104 tenants',
      expect.stringMatching(/^. main {5}0 done, 1 failed, 3 waiting$/u),
      expect.stringMatching(/^. eu-west {2}0 done, 100 waiting$/u),
    ]);
    expect(screen.isCursorVisible).toBe(false);
    progress.onEvent({ type: 'started', tenant: tenant('a') });
    progress.onEvent(settled(done('a')));
    progress.onEvent(settled(done('b')));
    // Whether it was changed or only read makes no difference here.
    for (let i = 0; i < 50; i += 1) {
      progress.onEvent({ type: 'read', outcome: done(`e${i}`, 1, { server: 'eu-west' }) });
    }
    progress.onEvent(settled(failed('late', { message: 'second thing' })));
    await pass(1000);
    expect(screen.lines.slice(0, 5)).toEqual([
      expect.stringMatching(/^failed early/u),
      'failed late (0003_tasks): second thing',
      expect.stringMatching(/^migrating: 54 of 104 tenants {2}\d+\/s, \d.* left$/u),
      '✖ main     2 done, 2 failed',
      expect.stringMatching(/^. eu-west {2}50 done, 50 waiting {2}\d+\/s, \d.* left$/u),
    ]);
    progress.close();
    expect(screen.text.split('\n')).toEqual([
      expect.stringMatching(/^failed early/u),
      expect.stringMatching(/^failed late/u),
    ]);
    expect(screen.isCursorVisible).toBe(true);
    expect(screen.widest).toBeLessThan(80);
    await pass(1000);
    expect(screen.text.split('\n')).toHaveLength(2);
  });

  it('keeps to the width with hostile and long names, and shows nothing a terminal would obey', async () => {
    const screen = new Screen(40);
    const progress = open(screen);
    const server = `${hostile}${'日本'.repeat(40)}`;
    progress.onEvent({ type: 'phase', name: hostile, servers: new Map([[server, 2]]) });
    await pass(300);
    progress.onEvent(settled(failed(hostile, { message: hostile.repeat(20) }, { server })));
    progress.onEvent({ type: 'notice', level: 'warning', message: hostile.repeat(5), hint: hostile });
    await pass(200);
    expect(screen.widest).toBeLessThan(40);
    expect(screen.text).toContain('evil\\x1b[2J');
    expect(screen.text).not.toMatch(/^fake line/mu);
    progress.close();
  });

  it('never shows more than ten servers, first those that still work', async () => {
    const screen = new Screen(80);
    const progress = open(screen);
    progress.onEvent(phase(...Array.from({ length: 25 }, (_, i) => [`s${i}`, 1] as const)));
    progress.onEvent(settled(done('a', 1, { server: 's0' })));
    await pass(600);
    expect(screen.text.split('\n')).toHaveLength(12);
    expect(screen.text).toContain('… and 15 more servers');
    expect(screen.text).not.toContain('s0 ');
    progress.close();
  });

  it('finds its place again on a terminal that was made narrower', async () => {
    const screen = new MemoryStream({ isTTY: true, columns: 80 });
    const progress = open(screen);
    progress.onEvent(phase(['main', 50]));
    for (let i = 0; i < 20; i += 1) progress.onEvent({ type: 'started', tenant: tenant(`t${i}`) });
    await pass(300);
    Object.assign(screen, { columns: 20, text: '' });
    await pass(100);
    // The 27 columns of the heading now take two rows, the 37 of the server two.
    expect(screen.text).toContain('\u001b[4A\r\u001b[J');
    progress.close();
  });

  it('draws nothing, and hides no cursor, for a run that ends at once', async () => {
    const screen = new Screen();
    const progress = open(screen);
    progress.onEvent(phase(['main', 1]));
    progress.onEvent(settled(done('a')));
    progress.onEvent({ type: 'phase-ended', name: 'migrating' });
    await pass(1000);
    progress.close();
    expect(screen.text).toBe('');
  });

  it('says each settled tenant with --verbose, and nothing with --quiet', async () => {
    const screen = new Screen();
    const verbose = open(screen, { verbose: true });
    for (const outcome of [done('a'), skipped('b'), interrupted('c')]) verbose.onEvent(settled(outcome));
    expect(screen.text.split('\n')).toEqual(['done a in 12 ms', 'not-started b', 'interrupted c (0002_more)']);
    const quietScreen = new Screen();
    const quiet = open(quietScreen, { quiet: true });
    quiet.onEvent(phase(['main', 1]));
    quiet.onEvent(settled(failed('a')));
    await pass(5000);
    expect(quietScreen.text).toBe('');
  });

  it('never throws into the run', () => {
    const broken: OutputStream = {
      isTTY: true,
      columns: 80,
      write() {
        throw new Error('terminal went away');
      },
    };
    const progress = open(broken);
    expect(() => progress.onEvent(settled(failed('a')))).not.toThrow();
    expect(() => progress.close()).not.toThrow();
  });
});

describe('in a log', () => {
  it.each<[string, OutputStream & { text: string }, ProgressOptions['env']]>([
    ['no terminal', new MemoryStream(), {}],
    ['CI', new Screen(), { CI: 'true' }],
    ['TERM=dumb', new Screen(), { TERM: 'dumb' }],
  ])('%s: a line after 2 s, then every 5 s, and one for each failure', async (_name, stderr, env) => {
    const progress = open(stderr, { env });
    progress.onEvent(phase(['main', 6], ['eu', 2]));
    await pass(1000);
    progress.onEvent(settled(failed('bad', { message: hostile, sqlState: 'XX000' })));
    for (const id of ['a', 'b', 'c']) progress.onEvent(settled(done(id)));
    await pass(1000);
    progress.onEvent({ type: 'started', tenant: tenant('d') });
    await pass(5000);
    progress.close();
    await pass(10_000);
    expect(stderr.text.trimEnd().split('\n')).toEqual([
      '2026-11-22T10:15:01Z failed bad (0003_tasks): XX000 evil\\x1b[2J\\x1b]0;x\\x07\\u{202e}\\nfake line',
      '2026-11-22T10:15:02Z migrating: 3 done, 1 failed, 4 waiting (2.0/s, 2.0 s left)',
      '2026-11-22T10:15:07Z migrating: 3 done, 1 failed, 1 running, 3 waiting (0.6/s, 7.0 s left)',
    ]);
  });

  it('counts what a phase that only looks has read, and tells none of it', async () => {
    const stderr = new MemoryStream();
    const progress = open(stderr, { verbose: true });
    progress.onEvent(phase(['main', 4]));
    progress.onEvent({ type: 'read', outcome: done('a') });
    progress.onEvent({ type: 'read', outcome: failed('b') });
    await pass(2000);
    progress.close();
    expect(stderr.text).toBe('2026-11-22T10:15:02Z migrating: 1 done, 1 failed, 2 waiting (1.0/s, 2.0 s left)\n');
  });

  it('says nothing for a run that ends at once', async () => {
    const stderr = new MemoryStream();
    const progress = open(stderr);
    progress.onEvent(phase(['main', 1]));
    progress.onEvent(settled(done('a')));
    progress.onEvent({ type: 'phase-ended', name: 'migrating' });
    progress.close();
    await pass(10_000);
    expect(stderr.text).toBe('');
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { OutputStream } from '../../src/context.ts';
import { openProgress } from '../../src/output/open-progress.ts';
import type { ProgressOptions } from '../../src/output/progress.ts';
import { noStyle } from '../../src/output/style.ts';
import { blocker, done, failed, MemoryStream, tenant } from './samples.ts';
import { Screen } from './screen.ts';

function open(stderr: OutputStream, more: Partial<ProgressOptions> = {}) {
  return openProgress({ stderr, env: {}, style: noStyle, now: () => new Date(), ...more });
}

function phase(...servers: readonly (readonly [string, number])[]) {
  return { type: 'phase', name: 'migrating', servers: new Map(servers) } as const;
}

function blocked(id: string, ...pids: readonly number[]) {
  return { type: 'blocked', tenant: tenant(id), blockers: pids.map((pid) => blocker(pid)) } as const;
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

describe('on a terminal', () => {
  it('shows below the servers who waits for whom, as long as that is so', async () => {
    const screen = new Screen(70);
    const progress = open(screen);
    const below = () => screen.lines.slice(2).filter((line) => line !== '');
    progress.onEvent(phase(['main', 9]));
    progress.onEvent(blocked('acme', 4711, 4712));
    await pass(300);
    expect(below()).toEqual(['acme waits for pid 4711 (psql, user app, idle in transaction, transa…']);
    for (const id of ['b', 'c', 'd', 'e']) progress.onEvent(blocked(id, 7));
    progress.onEvent(blocked('acme', 4713));
    await pass(200);
    expect(below().map((line) => line.slice(0, 22))).toEqual([
      'acme waits for pid 471',
      'b waits for pid 7 (psq',
      'c waits for pid 7 (psq',
      '… and 2 more',
    ]);
    expect(below()[0]).toContain('pid 4713');
    progress.onEvent(blocked('acme'));
    progress.onEvent(settled(done('b')));
    progress.onEvent(settled(failed('c')));
    await pass(200);
    expect(
      screen.lines
        .slice(3)
        .filter((line) => line !== '')
        .map((line) => line.slice(0, 17)),
    ).toEqual(['d waits for pid 7', 'e waits for pid 7']);
    progress.onEvent({ type: 'phase-ended', name: 'migrating' });
    progress.onEvent(phase(['main', 9]));
    await pass(300);
    expect(screen.text).not.toContain('waits');
    progress.close();
    expect(screen.widest).toBeLessThan(70);
  });

  it('tells how long a blocker has been there by now', async () => {
    const screen = new Screen(200);
    const progress = open(screen);
    progress.onEvent(phase(['main', 9]));
    progress.onEvent(blocked('acme', 4711, 4712));
    await pass(1000);
    expect(screen.text).toMatch(/transaction open 43 s, last query 41 s ago\) and 1 more$/);
    await pass(5000);
    expect(screen.text).toMatch(/transaction open 48 s, last query 46 s ago\) and 1 more$/);
    progress.close();
  });

  it('counts a tenant that gave its turn back as waiting', async () => {
    const screen = new Screen();
    const progress = open(screen);
    progress.onEvent(phase(['main', 3]));
    progress.onEvent({ type: 'started', tenant: tenant('a') });
    progress.onEvent({ type: 'started', tenant: tenant('b') });
    progress.onEvent({ type: 'put-back', tenant: tenant('a') });
    await pass(300);
    expect(screen.text).toContain('0 done, 1 running, 2 waiting');
    progress.close();
  });
});

describe('in a log', () => {
  it('says once who a tenant waits for, and counts those that wait', async () => {
    const stderr = new MemoryStream();
    const progress = open(stderr);
    progress.onEvent(phase(['main', 6]));
    progress.onEvent(blocked('a', 4711));
    progress.onEvent(blocked('a'));
    progress.onEvent(blocked('a', 4711));
    progress.onEvent(blocked('a', 4711, 12));
    progress.onEvent(blocked('b', 4711));
    await pass(2000);
    progress.onEvent(settled(done('a')));
    progress.onEvent(blocked('b'));
    await pass(5000);
    progress.close();
    const facts = 'psql, user app, idle in transaction, transaction open 42 s, last query 40 s ago';
    expect(stderr.text.trimEnd().split('\n')).toEqual([
      `2026-11-22T10:15:00Z blocked a waits for pid 4711 (${facts})`,
      `2026-11-22T10:15:00Z blocked a waits for pid 12 (${facts})`,
      `2026-11-22T10:15:00Z blocked b waits for pid 4711 (${facts})`,
      '2026-11-22T10:15:02Z migrating: 0 done, 6 waiting, 2 blocked',
      '2026-11-22T10:15:07Z migrating: 1 done, 5 waiting',
    ]);
  });

  it('says of ten that they wait, and from there on only counts', async () => {
    const stderr = new MemoryStream();
    const progress = open(stderr);
    progress.onEvent(phase(['main', 50]));
    for (let i = 0; i < 40; i += 1) progress.onEvent(blocked(`t${i}`, 4711));
    await pass(2000);
    progress.close();
    const lines = stderr.text.trimEnd().split('\n');
    expect(lines).toHaveLength(12);
    expect(lines[9]).toContain('blocked t9 waits for pid 4711');
    expect(lines[10]).toContain('blocked more tenants: from here on they are only counted');
    expect(lines[11]).toContain('50 waiting, 40 blocked');
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type StopSignal, watchInterrupts } from '../src/interrupts.ts';

const stopping = 'stopping: no further tenant is started, running statements end; once more cancels them';
const cancelling = 'cancelling running statements on their servers; once more leaves at once';
const leaving = 'leaving at once';

function watch(graceMs?: number) {
  const listeners = new Set<(signal: StopSignal) => void>();
  const said: string[] = [];
  const watched = watchInterrupts(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    (text) => said.push(text),
    graceMs,
  );
  const send = (signal: StopSignal) => {
    for (const listener of listeners) listener(signal);
  };
  /** How many of the three steps were taken. */
  const steps = () => {
    const { stop, cancel, abandon } = watched.interrupts;
    return [stop, cancel, abandon].filter(({ aborted }) => aborted).length;
  };
  return { ...watched, send, said, steps, listeners };
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('watchInterrupts', () => {
  it('takes one step for each Ctrl-C, and says each', () => {
    const { interrupts, send, said, steps, received } = watch();
    expect(received()).toBeNull();
    send('SIGINT');
    expect(interrupts.stop.aborted).toBe(true);
    expect(steps()).toBe(1);
    expect(said).toEqual([stopping]);
    send('SIGINT');
    expect(interrupts.cancel.aborted).toBe(true);
    expect(steps()).toBe(2);
    send('SIGINT');
    expect(interrupts.abandon.aborted).toBe(true);
    send('SIGINT');
    expect(said).toEqual([stopping, cancelling, leaving]);
    expect(received()).toBe('SIGINT');
  });

  it('waits for a person for ever after a Ctrl-C', () => {
    const { send, steps } = watch();
    send('SIGINT');
    vi.advanceTimersByTime(3_600_000);
    expect(steps()).toBe(1);
  });

  it('goes on by itself after a SIGTERM: 20 s, and at the end before Kubernetes kills at 30', () => {
    const { send, said, steps, received } = watch();
    send('SIGTERM');
    vi.advanceTimersByTime(19_999);
    expect(steps()).toBe(1);
    vi.advanceTimersByTime(1);
    expect(steps()).toBe(2);
    vi.advanceTimersByTime(7_999);
    expect(steps()).toBe(2);
    vi.advanceTimersByTime(1);
    expect(steps()).toBe(3);
    expect(said).toEqual([stopping, cancelling, leaving]);
    expect(received()).toBe('SIGTERM');
  });

  it('takes another grace', () => {
    const { send, steps } = watch(500);
    send('SIGTERM');
    vi.advanceTimersByTime(500);
    expect(steps()).toBe(2);
  });

  it('does not come to the last step sooner because somebody cancelled by hand', () => {
    const { send, steps } = watch();
    send('SIGTERM');
    send('SIGTERM');
    expect(steps()).toBe(2);
    vi.advanceTimersByTime(27_999);
    expect(steps()).toBe(2);
    vi.advanceTimersByTime(1);
    expect(steps()).toBe(3);
  });

  it('counts the grace from a SIGTERM that follows a Ctrl-C, and keeps the first signal for the exit code', () => {
    const { send, steps, received } = watch();
    send('SIGINT');
    vi.advanceTimersByTime(60_000);
    send('SIGTERM');
    expect(steps()).toBe(2);
    vi.advanceTimersByTime(28_000);
    expect(steps()).toBe(3);
    expect(received()).toBe('SIGINT');
  });

  it('leaves neither a listener nor a timer when it is closed', () => {
    const { send, close, steps, listeners } = watch();
    send('SIGTERM');
    close();
    expect(listeners.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(60_000);
    expect(steps()).toBe(1);
  });
});

import type { Interrupts } from './context.ts';

export type StopSignal = 'SIGINT' | 'SIGTERM';

/** How signals reach the program: registers a listener, returns what takes it off. */
export type OnSignal = (listener: (signal: StopSignal) => void) => () => void;

export interface InterruptWatch {
  readonly interrupts: Interrupts;
  /** The first signal that came, or null. */
  readonly received: () => StopSignal | null;
  readonly close: () => void;
}

/** After a SIGTERM nobody presses a second time: Kubernetes kills 30 s later. */
const defaultGraceMs = 20_000;
const abandonAfterMs = 8_000;

const words = [
  'stopping: no further tenant is started, running statements end; once more cancels them',
  'cancelling running statements on their servers; once more leaves at once',
  'leaving at once',
];

/** Turns signals into the three steps of an interruption, and says each. */
export function watchInterrupts(
  onSignal: OnSignal,
  say: (text: string) => void,
  graceMs = defaultGraceMs,
): InterruptWatch {
  const steps = [new AbortController(), new AbortController(), new AbortController()] as const;
  const timers: NodeJS.Timeout[] = [];
  let received: StopSignal | null = null;

  const advance = () => {
    const next = steps.findIndex(({ signal }) => !signal.aborted);
    if (next === -1) return;
    say(words[next] ?? '');
    steps[next]?.abort();
  };
  const off = onSignal((signal) => {
    if (received === null && signal === 'SIGTERM') {
      timers.push(setTimeout(advance, graceMs), setTimeout(advance, graceMs + abandonAfterMs));
      for (const timer of timers) timer.unref();
    }
    received ??= signal;
    advance();
  });
  return {
    interrupts: { stop: steps[0].signal, cancel: steps[1].signal, abandon: steps[2].signal },
    received: () => received,
    close: () => {
      off();
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

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

/** What is said at each step. */
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

  const next = () => steps.findIndex(({ signal }) => !signal.aborted);
  /** Takes the next step, unless the run stands beyond `last` already. */
  const advance = (last: number) => {
    const step = next();
    if (step === -1 || step > last) return;
    say(words[step] ?? '');
    steps[step]?.abort();
  };
  const off = onSignal((signal) => {
    if (signal === 'SIGTERM' && timers.length === 0) {
      // Each for its own step: a person who was quicker must not make the next one come sooner.
      timers.push(setTimeout(advance, graceMs, 1), setTimeout(advance, graceMs + abandonAfterMs, 2));
      for (const timer of timers) timer.unref();
    }
    received ??= signal;
    advance(steps.length - 1);
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

import { join } from 'node:path';
import { readFleetOptions } from '../../src/commands/fleet-options.ts';
import { type Fleet, withFleet } from '../../src/commands/open-fleet.ts';
import type { Context } from '../../src/context.ts';
import type { RunEvent } from '../../src/fleet/events.ts';

/** A context of a test's own, whose interruptions it can make and whose events it can read. */
export interface TestContext {
  readonly context: Context;
  readonly events: readonly RunEvent[];
  /** What was noted, a line each. */
  readonly notices: () => readonly string[];
  /** As the first, second and third Ctrl-C. */
  readonly interrupt: (step: 'stop' | 'cancel' | 'abandon') => void;
}

/** The context that a command gets, in a folder. */
export function makeContext(cwd: string, env: Readonly<Record<string, string | undefined>> = {}): TestContext {
  const events: RunEvent[] = [];
  const steps = { stop: new AbortController(), cancel: new AbortController(), abandon: new AbortController() };
  const silent = { write: () => {}, isTTY: false, columns: 80 };
  const context: Context = {
    version: '0.0.0-test',
    self: ['tenantctl'],
    env,
    cwd,
    homeDir: join(cwd, 'no-such-home'),
    osUser: 'nobody',
    stdout: silent,
    stderr: silent,
    readStdin: async () => '',
    prompt: null,
    now: () => new Date(),
    interrupts: { stop: steps.stop.signal, cancel: steps.cancel.signal, abandon: steps.abandon.signal },
    emit: (event) => void events.push(event),
  };
  return {
    context,
    events,
    notices: () => events.flatMap((event) => (event.type === 'notice' ? [event.message] : [])),
    interrupt: (step) => steps[step].abort(),
  };
}

/** Opens the whole fleet of the folder's inventory as a command does, for what is no command by itself. */
export function inFleet<T>({ context }: TestContext, work: (fleet: Fleet) => Promise<T>): Promise<T> {
  return withFleet(context, { ...readFleetOptions({ all: true }), mode: 'change' }, work);
}

import type { Progress, ProgressOptions } from './progress.ts';
import { openLineProgress } from './progress-lines.ts';
import { openTerminalProgress } from './progress-terminal.ts';

/** A live display on a terminal, plain lines in a log, nothing with --quiet. */
export function openProgress(options: ProgressOptions): Progress {
  if (options.quiet === true) return { onEvent: () => {}, close: () => {} };
  const isLive = isLiveTerminal(options) && options.isLiveAllowed !== false;
  return guarded(isLive ? openTerminalProgress(options) : openLineProgress(options));
}

function isLiveTerminal({ stderr, env }: ProgressOptions): boolean {
  const isCi = Boolean(env.CI) && env.CI !== 'false' && env.CI !== '0';
  return stderr.isTTY && !isCi && env.TERM !== 'dumb';
}

function guarded(progress: Progress): Progress {
  const quietly = (call: () => void): void => {
    try {
      call();
    } catch {
      // The terminal went away, or the display is wrong; the report still tells what happened.
    }
  };
  let isClosed = false;
  return {
    onEvent(event) {
      if (!isClosed) quietly(() => progress.onEvent(event));
    },
    close() {
      if (!isClosed) quietly(progress.close);
      isClosed = true;
    },
  };
}

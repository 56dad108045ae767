import type { RunEvent } from '../fleet/events.ts';
import { plural } from '../words.ts';
import { BlockedTenants } from './blocked-tenants.ts';
import { EventLines } from './event-lines.ts';
import type { Board, BoardSource } from './live-board.ts';
import { countsText, PhaseTally } from './phase-tally.ts';
import type { Progress, ProgressOptions } from './progress.ts';
import { safeText } from './safe-text.ts';
import { cutText, displayWidth, padText } from './text.ts';

/** A phase that ends sooner shows no board, and the library that draws it is never loaded. */
const showAfterMs = 300;
const maxNameWidth = 24;

/** For a terminal: one live line a server, and above it each failure as it comes. */
export function openTerminalProgress(options: ProgressOptions): Progress {
  const { stderr, style, now, verbose = false } = options;
  const lines = new EventLines(style, verbose);
  const blocked = new BlockedTenants();
  let tally: PhaseTally | null = null;
  let board: Board | null = null;
  let timer: NodeJS.Timeout | undefined;

  const endPhase = (): void => {
    clearTimeout(timer);
    board?.close();
    board = null;
    tally = null;
  };
  const show = async (shown: PhaseTally): Promise<void> => {
    const { openBoard } = await import('./live-board.ts');
    if (tally === shown && board === null) board = openBoard(stderr, style, boardSource(shown, blocked, now));
  };
  const beginPhase = (event: Extract<RunEvent, { type: 'phase' }>): void => {
    endPhase();
    const begun = new PhaseTally(event.name, event.servers, now().getTime());
    tally = begun;
    // Without a board the run goes on, and its failures are printed all the same.
    timer = setTimeout(() => void show(begun).catch(() => {}), showAfterMs).unref();
  };
  const print = (lines: readonly string[]): void => {
    if (lines.length === 0) return;
    if (board !== null) board.print(lines);
    else stderr.write(lines.map((line) => `${line}\n`).join(''));
  };
  return {
    onEvent(event) {
      if (event.type === 'phase') beginPhase(event);
      else if (event.type === 'started') tally?.started(event.tenant);
      else if (event.type === 'put-back') tally?.putBack(event.tenant);
      else if (event.type === 'settled' || event.type === 'read') tally?.settled(event.outcome);
      blocked.onEvent(event);
      print(lines.of(event, Math.max(20, stderr.columns - 1)));
      if (event.type === 'phase-ended') endPhase();
    },
    close: endPhase,
  };
}

function boardSource(tally: PhaseTally, blocked: BlockedTenants, now: () => Date): BoardSource {
  const { servers } = tally;
  const names = new Map(servers.map((server) => [server, cutText(safeText(server), maxNameWidth)]));
  const nameWidth = Math.max(0, ...[...names.values()].map(displayWidth));
  const paced = (text: string, pace: string): string => (pace === '' ? text : `${text}  ${pace}`);
  return {
    servers,
    header() {
      const counts = tally.counts();
      const settled = counts.total - counts.waiting - counts.running;
      const text = `${safeText(tally.name)}: ${settled} of ${plural(counts.total, 'tenant')}`;
      return servers.length > 1 ? paced(text, tally.pace(counts, now().getTime())) : text;
    },
    footer: () => blocked.lines(now()),
    line(server) {
      const counts = tally.counts([server]);
      const name = padText(names.get(server) ?? safeText(server), nameWidth);
      const isWorking = counts.waiting + counts.running > 0;
      const hasTrouble = counts.failed + counts.interrupted > 0;
      const text = `${name}  ${countsText(counts)}`;
      return {
        text: isWorking ? paced(text, tally.pace(counts, now().getTime())) : text,
        state: isWorking ? 'working' : hasTrouble ? 'failed' : 'done',
      };
    },
  };
}

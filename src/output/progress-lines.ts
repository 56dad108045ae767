import { BlockedLines } from './blocked-lines.ts';
import { BlockedTenants } from './blocked-tenants.ts';
import { EventLines } from './event-lines.ts';
import { countsText, PhaseTally } from './phase-tally.ts';
import type { Progress, ProgressOptions } from './progress.ts';
import { safeText } from './safe-text.ts';

/** A run that ends sooner says nothing of its progress. */
const firstLineAfterMs = 2_000;
const lineEveryMs = 5_000;

/** For logs: a line every few seconds and one for each failure, each with the time in UTC. */
export function openLineProgress({ stderr, style, now, verbose = false }: ProgressOptions): Progress {
  const lines = new EventLines(style, verbose);
  const blockedLines = new BlockedLines(style);
  const blocked = new BlockedTenants();
  let tally: PhaseTally | null = null;
  let timer: NodeJS.Timeout | null = null;

  const print = (text: string): void => stderr.write(`${now().toISOString().slice(0, 19)}Z ${text}\n`);
  const report = (): void => {
    timer = setTimeout(report, lineEveryMs).unref();
    if (tally === null) return;
    const counts = tally.counts();
    const pace = tally.pace(counts, now().getTime());
    const locks = blocked.count === 0 ? '' : `, ${blocked.count} blocked`;
    print(`${safeText(tally.name)}: ${countsText(counts)}${locks}${pace === '' ? '' : ` (${pace})`}`);
  };
  return {
    onEvent(event) {
      if (event.type === 'phase') {
        tally = new PhaseTally(event.name, event.servers, now().getTime());
        timer ??= setTimeout(report, firstLineAfterMs).unref();
      } else if (event.type === 'started') tally?.started(event.tenant);
      else if (event.type === 'put-back') tally?.putBack(event.tenant);
      else if (event.type === 'settled' || event.type === 'read') tally?.settled(event.outcome);
      else if (event.type === 'phase-ended') tally = null;
      blocked.onEvent(event);
      const blockedLine = blockedLines.of(event, now());
      if (blockedLine !== null) print(blockedLine);
      for (const line of lines.of(event, null)) print(line);
    },
    close() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
  };
}

import { shellQuote } from '../words.ts';
import type { RetryCommand } from './result.ts';
import { safeText } from './safe-text.ts';

/** A longer list of ids is no command a person copies. */
const maxListLength = 160;

/**
 * Makes the retry command of `words`: the command and its flags without its selection, as the operator wrote them.
 * `--from-run` where that selects exactly those tenants, else the ids themselves when they are few.
 */
export function makeRetryCommand(words: readonly string[]): RetryCommand {
  const base = ['tenantctl', ...words].map(shellQuote).join(' ');
  return (ids, run, outcomes) => {
    if (run !== null) return `${base} --from-run ${shellQuote(run)} --outcome ${outcomes.join(',')}`;
    if (ids.length === 0 || !ids.every(isPlainId)) return null;
    const list = ids.map(shellQuote).join(' ');
    return list.length > maxListLength ? null : `${base} --tenant ${list}`;
  };
}

/** For what flags cannot say again: the run is carried on, on all that it left. `words`: the command up to the run. */
export function makeResumeCommand(words: readonly string[]): RetryCommand {
  return (_ids, run) => (run === null ? null : ['tenantctl', ...words, run].map(shellQuote).join(' '));
}

/** An id that --tenant would read as a flag, a glob or standard input cannot be named there. */
function isPlainId(id: string): boolean {
  return !id.startsWith('-') && !/[*?[\]{}!]/u.test(id) && safeText(id) === id;
}

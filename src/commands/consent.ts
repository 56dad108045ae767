import type { Context, Prompt } from '../context.ts';
import { RefusedError } from '../errors.ts';

/**
 * Asks once for the whole fleet: a person types the environment's name. Without a terminal only `--yes` will do.
 * `lines` is what would be done; it goes to stderr before the question. `risk` says why a person is asked.
 */
export async function askConsent(
  context: Context,
  environment: string,
  { lines, risk }: { readonly lines: readonly string[]; readonly risk: string },
  isGiven: boolean,
): Promise<void> {
  if (isGiven) return;
  if (context.prompt === null) {
    throw new RefusedError(`${risk} and was not confirmed`, {
      details: lines,
      hint: 'look at it with --dry-run, then confirm with --yes',
    });
  }
  for (const line of lines) context.stderr.write(`${line}\n`);
  const question = `${risk[0]?.toUpperCase()}${risk.slice(1)}. Type the environment's name (${environment}) to go on: `;
  const answer = await ask(context.prompt, context.interrupts.stop, question);
  if (answer.trim() !== environment) throw new RefusedError('not confirmed, nothing was changed');
}

/** A person who presses Ctrl-C or Ctrl-D has answered: no. */
async function ask(prompt: Prompt, stop: AbortSignal, question: string): Promise<string> {
  try {
    return await prompt(question, stop);
  } catch (cause) {
    throw new RefusedError('not confirmed, nothing was changed', { cause });
  }
}

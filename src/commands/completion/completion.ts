import { type Shell, scripts, shells } from '../../completion/scripts.ts';
import { UsageError } from '../../errors.ts';
import { type Command, textView } from '../command.ts';

/** `tenantctl completion`: a script that makes a shell complete tenantctl's command lines. */
export const completion: Command<Shell, never> = {
  name: 'completion',
  summary: 'print a script that completes command lines in bash, zsh or fish',
  examples: [
    ['source <(tenantctl completion bash)', 'in ~/.bashrc'],
    ['source <(tenantctl completion zsh)', 'in ~/.zshrc, after compinit'],
    ['tenantctl completion fish > ~/.config/fish/completions/tenantctl.fish', 'once'],
  ],
  arguments: '<shell>',
  flags: [],
  view: textView,
  options: (_raw, [name = '']) => {
    const shell = shells.find((known) => known === name);
    if (shell !== undefined) return shell;
    throw new UsageError(`there is no completion for ${JSON.stringify(name)}`, {
      hint: `one of: ${shells.join(', ')}`,
    });
  },
  run: async (_context, shell) => ({ outcomes: [], text: scripts[shell].trimEnd().split('\n') }),
};

import type { Command as Commander, Option } from 'commander';
import type { Command, Flag, RawOptions } from './commands/command.ts';
import { commonFlags, repeatable } from './commands/flags.ts';
import { type CommandEntry, findEntry, registry } from './commands/registry.ts';
import type { OutputStream } from './context.ts';
import { exitCodes, UsageError } from './errors.ts';
import { closest } from './fleet/did-you-mean.ts';
import { errorText } from './output/errors-text.ts';
import { exitCodeOfError } from './output/exit-code.ts';
import { makeStyle } from './output/style.ts';
import type { World } from './run-command.ts';

interface Typed {
  readonly command: Command;
  readonly raw: RawOptions;
  readonly args: readonly string[];
}

/** Runs one command line in a world; resolves to its exit code and never rejects. */
export async function runProgram(argv: readonly string[], world: World): Promise<number> {
  if (argv[0] === 'complete' && argv[1] === '--') return answerShell(argv.slice(2), world);
  try {
    const typed = await readCommandLine(argv, world);
    if (typed === null) return exitCodes.ok;
    const { runCommand } = await import('./run-command.ts');
    return await runCommand(typed.command, typed.raw, typed.args, world);
  } catch (error) {
    const style = makeStyle('auto', world.env, world.stderr);
    world.stderr.write(
      errorText(error, { style, debug: argv.includes('--debug') || isSet(world.env.TENANTCTL_DEBUG) }),
    );
    return exitCodeOfError(error);
  }
}

/** Half a line of an error would stand in the middle of what a person types: who completes says nothing. */
async function answerShell(words: readonly string[], world: World): Promise<number> {
  try {
    const { completeWords } = await import('./commands/completion/complete.ts');
    world.stdout.write(await completeWords(words, world));
  } catch {
    // An inventory with a mistake, a folder that cannot be read: the command itself will tell.
    world.stdout.write(':4\n');
  }
  return exitCodes.ok;
}

/** Null: help was asked for and shown. */
async function readCommandLine(argv: readonly string[], world: World): Promise<Typed | null> {
  const { Command: CommanderCommand, Option: CommanderOption } = await import('commander');
  const entries = entriesFor(argv);
  let typed: Typed | null = null;

  const program = prepare(new CommanderCommand('tenantctl'), world)
    .description('Operations for fleets of tenant PostgreSQL databases.')
    .version(world.version, '--version', 'print the version')
    .helpOption('-h, --help', 'show help');
  const groups = new Map<string, Commander>();
  for (const { name, isDefault, load } of entries) {
    const command = (await load()) as unknown as Command;
    const words = name.split(' ');
    const parent = words.length === 1 ? program : groupOf(program, words[0] ?? '', groups, world);
    const own = prepare(parent.command(words.at(-1) ?? '', isDefault === true ? { isDefault } : {}), world);
    describe(own, command, CommanderOption);
    own.action(() => {
      typed = { command, raw: withEnvironment(own, command, world.env), args: own.args };
    });
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    const mistake = commanderMistake(error);
    if (mistake !== null) throw mistake;
  }
  return typed;
}

/** The one command that is meant; all of them for help. */
function entriesFor(argv: readonly string[]): readonly CommandEntry[] {
  if (argv[0] === '--version') return [];
  if (argv.length === 0 || argv.includes('--help') || argv.includes('-h') || argv[0] === 'help') return registry;
  const entry = findEntry(argv);
  if (entry === null) throw unknownCommand(argv);
  return [entry];
}

function groupOf(program: Commander, name: string, groups: Map<string, Commander>, world: World): Commander {
  let group = groups.get(name);
  if (group === undefined) {
    const standIn = registry.find((entry) => entry.isDefault && entry.name.startsWith(`${name} `));
    group = prepare(program.command(name), world);
    group.description(
      standIn === undefined ? `commands about ${name}` : `${name} commands; alone it is ${standIn.name}`,
    );
    groups.set(name, group);
  }
  return group;
}

/** Output goes to the world's streams, a mistake is thrown and not an exit. */
function prepare(command: Commander, world: World): Commander {
  return command
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureOutput({
      writeOut: (text) => void world.stdout.write(text),
      writeErr: (text) => world.stderr.write(text),
      outputError: () => {},
      getOutHelpWidth: () => widthOf(world.stdout),
      getErrHelpWidth: () => widthOf(world.stderr),
    });
}

function widthOf(stream: Pick<OutputStream, 'isTTY' | 'columns'>): number {
  return stream.isTTY ? stream.columns : 100;
}

function describe(own: Commander, command: Command, OptionClass: typeof Option): void {
  own.summary(command.summary).description(`${command.summary[0]?.toUpperCase()}${command.summary.slice(1)}.`);
  if (command.arguments !== undefined) own.arguments(command.arguments);
  const examples = command.examples.map(([typed, meaning]) => `  $ ${typed}\n      ${meaning}`);
  own.addHelpText('before', `Examples:\n${examples.join('\n')}\n`);
  for (const flag of [...command.flags, ...commonFlags]) own.addOption(toOption(flag, OptionClass));
  own.allowExcessArguments(false);
}

function toOption({ flags, description, group }: Flag, OptionClass: typeof Option): Option {
  const option = new OptionClass(flags, description);
  if (group !== undefined) option.helpGroup(group);
  if (repeatable.has(option.attributeName())) {
    option.argParser((value: string, before: unknown) => [...(Array.isArray(before) ? before : []), value]);
  }
  return option;
}

/** `TENANTCTL_<FLAG>` stands for a flag that was not typed. */
function withEnvironment(own: Commander, command: Command, env: World['env']): RawOptions {
  const raw: Record<string, unknown> = { ...own.opts() };
  for (const { flags, fromEnvironment } of [...command.flags, ...commonFlags]) {
    const option = own.options.find((candidate) => candidate.flags === flags);
    if (!fromEnvironment || option === undefined) continue;
    const key = option.attributeName();
    const text = env[`TENANTCTL_${option.long?.slice(2).replaceAll('-', '_').toUpperCase()}`];
    if (raw[key] !== undefined || text === undefined || text === '') continue;
    if (option.required || option.optional) raw[key] = repeatable.has(key) ? text.split(' ') : text;
    else raw[key] = isSet(text);
  }
  return raw;
}

/** How a variable says yes to a switch. */
function isSet(text: string | undefined): boolean {
  return text !== undefined && text !== '' && !['0', 'false', 'no'].includes(text.toLowerCase());
}

function unknownCommand(argv: readonly string[]): UsageError {
  const [first = '', second] = argv;
  if (first.startsWith('-')) {
    return new UsageError(`the command comes first, not ${first}`, { hint: 'tenantctl --help lists the commands' });
  }
  const isGroup = registry.some(({ name }) => name.startsWith(`${first} `));
  const typed = isGroup && second !== undefined ? `${first} ${second}` : first;
  const guess = closest(typed, isGroup ? registry.map(({ name }) => name) : commandWords());
  const names = registry.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) => name);
  if (isGroup && (second === undefined || second.startsWith('-'))) {
    return new UsageError(`${first} needs one more word`, { hint: `one of: ${names.join(', ')}` });
  }
  return new UsageError(`there is no command ${JSON.stringify(typed)}`, {
    hint: guess === null ? 'tenantctl --help lists the commands' : `did you mean: tenantctl ${guess}`,
  });
}

function commandWords(): string[] {
  return [...new Set(registry.flatMap(({ name }) => [name, name.split(' ')[0] ?? '']))];
}

/** Null for what is no mistake: commander has printed help or the version. */
function commanderMistake(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
  if (['commander.help', 'commander.helpDisplayed', 'commander.version'].includes(error.code)) return null;
  if (!error.code.startsWith('commander.')) return error;
  const [message = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const hint = rest
    .join(' ')
    .replace(/^\(|\)$/g, '')
    .toLowerCase();
  return new UsageError(message, { hint: hint === '' ? 'add --help to see what the command takes' : hint });
}

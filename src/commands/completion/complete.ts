import { type Candidate, type Proposal, proposalLines } from '../../completion/candidates.ts';
import { type CursorPlace, findCursor, type LineFlag, readArguments, readFlag } from '../../completion/command-line.ts';
import type { Command } from '../command.ts';
import { commonFlags, repeatable } from '../flags.ts';
import { type CommandEntry, findEntry, registry } from '../registry.ts';
import { type CompletionWorld, proposeValues } from './completion-values.ts';

/** Program-wide words that no command has. */
const helpFlag: LineFlag = readFlag({ flags: '-h, --help', description: 'show help' });
const versionFlag: LineFlag = readFlag({ flags: '--version', description: 'print the version' });

/**
 * What could come next on a command line: the answer to a shell's script, in its lines. `words` are those after
 * `tenantctl`, the last one is what the cursor stands in, empty after a blank. Touches files only, never a server.
 */
export async function completeWords(words: readonly string[], world: CompletionWorld): Promise<string> {
  const current = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  if (before.length === 0) return proposalLines(await firstWords(current), '', current);
  const [first = '', second] = before;
  const isGroup = registry.some(({ name }) => name.startsWith(`${first} `));
  const subcommands = before.length === 1 && isGroup ? await secondWords(first) : [];
  const entry = findEntry(before);
  if (entry === null) return proposalLines(subcommands, '', current);
  const length = entry.name.includes(' ') && entry.name === `${first} ${second}` ? 2 : 1;
  const command = await load(entry);
  const flags = [...command.flags, ...commonFlags].map(readFlag).concat(helpFlag);
  const place = findCursor([...before.slice(length), current], flags, readArguments(command.arguments ?? ''));
  const proposal = await proposeAt(place, flags, subcommands, configOf(before, flags), world);
  return proposalLines(proposal, place.prefix, place.text);
}

async function proposeAt(
  place: CursorPlace,
  flags: readonly LineFlag[],
  subcommands: readonly Candidate[],
  config: string | null,
  world: CompletionWorld,
): Promise<Proposal> {
  const values = place.valueOf === null && place.argument === null ? [] : await proposeValues(place, config, world);
  if (values === 'files' || place.valueOf !== null) return values;
  const others = [...subcommands, ...values];
  // A flag can always come, but is proposed only where nothing else is, or its dash was typed.
  return place.mayBeFlag && (place.text.startsWith('-') || others.length === 0) ? proposeFlags(flags, place) : others;
}

function proposeFlags(flags: readonly LineFlag[], { given, text }: CursorPlace): readonly Candidate[] {
  const open = flags.filter(({ long, isMany }) => !given.has(long) || isMany || repeatable.has(long.slice(2)));
  const short = open.flatMap(({ short, description }) => (short === text ? [{ value: short, description }] : []));
  return [...short, ...open.map(({ long, description }) => ({ value: long, description }))];
}

/** Commands and groups, once each. */
async function firstWords(current: string): Promise<readonly Candidate[]> {
  if (current.startsWith('-')) {
    return [helpFlag, versionFlag].map(({ long, description }) => ({ value: long, description }));
  }
  const entries = registry.filter(({ name }, index) => {
    const [word] = name.split(' ');
    return registry.findIndex((other) => other.name.split(' ')[0] === word) === index;
  });
  return Promise.all(
    entries.map(async (entry) => {
      const [word = '', second] = entry.name.split(' ');
      const isAlone = second === undefined || entry.isDefault === true;
      return { value: word, description: isAlone ? (await load(entry)).summary : `commands about ${word}` };
    }),
  );
}

async function secondWords(group: string): Promise<readonly Candidate[]> {
  const entries = registry.filter(({ name }) => name.startsWith(`${group} `));
  return Promise.all(
    entries.map(async (entry) => ({
      value: entry.name.slice(group.length + 1),
      description: (await load(entry)).summary,
    })),
  );
}

async function load(entry: CommandEntry): Promise<Command> {
  return (await entry.load()) as unknown as Command;
}

/** The inventory that the line names, wherever on it. */
function configOf(words: readonly string[], flags: readonly LineFlag[]): string | null {
  const flag = flags.find(({ long }) => long === '--config');
  for (const [index, word] of words.entries()) {
    if (word.startsWith('--config=')) return word.slice('--config='.length);
    if (word === '--config' || word === flag?.short) return words[index + 1] ?? null;
  }
  return null;
}

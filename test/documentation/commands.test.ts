import { describe, expect, it } from 'vitest';
import type { Command, Flag } from '../../src/commands/command.ts';
import { changeFlags, commonFlags, limitFlags, selectionFlags } from '../../src/commands/flags.ts';
import { findEntry, registry, spokenName } from '../../src/commands/registry.ts';
import { exitCodes } from '../../src/errors.ts';
import { codeOf, linkTarget, type Page, readPages } from './pages.ts';

const pages = readPages();
const pageAt = new Map(pages.map((page) => [page.path, page]));
const commands = await Promise.all(registry.map(async ({ load }) => (await load()) as unknown as Command));
const sharedFlags: ReadonlySet<Flag> = new Set([...selectionFlags, ...limitFlags, ...changeFlags, ...commonFlags]);

function pagePath(name: string): string {
  return `docs/commands/${spokenName(name).replaceAll(' ', '-')}.md`;
}

function pageOf(name: string): Page {
  const page = pageAt.get(pagePath(name));
  if (page === undefined) throw new Error(`${name} has no page ${pagePath(name)}`);
  return page;
}

/** `--tenant` of `-t, --tenant <pattern...>`. */
function longFlag({ flags }: Pick<Flag, 'flags'>): string {
  const found = /--[a-z-]+/.exec(flags)?.[0];
  if (found === undefined) throw new Error(`a flag without a long form: ${flags}`);
  return found;
}

/** Every way to write the flags of a command. */
function spellings(command: Command): ReadonlySet<string> {
  const own = [...command.flags, ...commonFlags].flatMap(
    ({ flags }) => flags.match(/(?<![\w-])--?[a-z][a-z-]*/g) ?? [],
  );
  return new Set([...own, '--help', '-h']);
}

function flagsIn(text: string): readonly string[] {
  return text.match(/(?<![\w-])--[a-z][a-z-]*/g) ?? [];
}

/** The flags that a page's tables explain: those in the first cells of rows. */
function flagsInTables({ rows }: Page): readonly string[] {
  return rows.flatMap(([first = '']) => (first.startsWith('`-') ? flagsIn(first) : []));
}

/** The command lines of a text, each from its command's name to where the shell takes over. */
function commandLines(text: string): readonly string[] {
  const typed = text.replaceAll(/<[^<>\n]+>|[[\]]/g, '');
  return [...typed.matchAll(/(?<![\w./-])tenantctl((?: +[^\s|;&>`]+)+)/g)].map(([, words = '']) => words.trim());
}

describe('each command', () => {
  it.each(registry.map(({ name }) => name))('%s has a page, which the list of all pages links', (name) => {
    const page = pageOf(name);
    expect(page.text).toMatch(new RegExp(`^# tenantctl ${spokenName(name)}$`, 'm'));
    const index = pageAt.get('docs/README.md')!;
    expect(index.links.map((link) => linkTarget(index, link).path)).toContain(page.path);
  });

  it.each(commands)(
    '$name: its own flags are in the tables of its page, shared ones there or on a page that it links',
    (command) => {
      const page = pageOf(command.name);
      const linked = page.links
        .map((link) => linkTarget(page, link).path)
        .filter((path) => /^docs\/[^/]+\.md$/.test(path) && path !== 'docs/README.md')
        .flatMap((path) => pageAt.get(path) ?? []);
      const own = new Set(flagsInTables(page));
      const shared = new Set([page, ...linked].flatMap(flagsInTables));
      const missing = [...command.flags, ...commonFlags].filter((flag) => {
        return !(sharedFlags.has(flag) ? shared : own).has(longFlag(flag));
      });
      expect(missing.map(longFlag)).toEqual([]);
    },
  );

  it.each(commands)('$name: the tables of its page show no flag that it has not', (command) => {
    const known = spellings(command);
    expect(flagsInTables(pageOf(command.name)).filter((flag) => !known.has(flag))).toEqual([]);
  });

  it.each(commands)('$name: the exit codes of its page are published ones', (command) => {
    const { rows } = pageOf(command.name);
    const codes = rows.flatMap(([first = '']) => (/^\d+(?:, \d+)*$/.test(first) ? first.split(', ').map(Number) : []));
    expect(codes).toContain(0);
    expect(codes.filter((code) => !Object.values<number>(exitCodes).includes(code))).toEqual([]);
  });
});

describe('command lines in the docs', () => {
  it('name commands that exist, with flags that they have', () => {
    const wrong = pages.flatMap((page) =>
      commandLines(codeOf(page)).flatMap((line) => {
        const words = line.split(/ +/);
        if (words[0]?.startsWith('-')) return [];
        const entry = findEntry(words);
        if (entry === null) return [`${page.path}: tenantctl ${line}: no such command`];
        const known = spellings(commands[registry.indexOf(entry)]!);
        const flags = line.match(/(?<=^|\s)--?[a-z][a-z-]*/g) ?? [];
        return flags.filter((flag) => !known.has(flag)).map((flag) => `${page.path}: tenantctl ${line}: no ${flag}`);
      }),
    );
    expect(wrong).toEqual([]);
  });

  it('speak of no flag that no command has', () => {
    const known = new Set([...commands.flatMap((command) => [...spellings(command)]), '--version']);
    const ofOthers = /^\$ (?!tenantctl\b)/;
    const wrong = pages.flatMap((page) => {
      const spans = page.spans.filter((span) => span.startsWith('-'));
      const printed = page.blocks
        .filter(({ language }) => language === '' || language === 'console')
        .flatMap(({ text }) => text.split('\n').filter((line) => !ofOthers.test(line)));
      return [...spans, ...printed].flatMap((text) =>
        flagsIn(text)
          .filter((flag) => !known.has(flag))
          .map((flag) => `${page.path}: ${flag}`),
      );
    });
    expect(wrong).toEqual([]);
  });
});

describe('exit codes', () => {
  it.each(['README.md', 'docs/exit-codes.md'])('%s explains each', (path) => {
    const page = pageAt.get(path)!;
    const explained = page.rows.flatMap(([first = '', meaning = '']) =>
      /^\d/.test(first) && meaning !== '' ? first.split(', ').map(Number) : [],
    );
    expect(explained.toSorted((a, b) => a - b)).toEqual(Object.values(exitCodes).toSorted((a, b) => a - b));
  });
});

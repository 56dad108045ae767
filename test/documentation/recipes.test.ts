import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { packageRoot } from '../../src/postgres/local/cache-folder.ts';
import { answerWithoutInventory, commandLines } from './command-lines.ts';
import { linkTarget, parsePage, readPages, readProjectFile } from './pages.ts';

const folder = 'docs/recipes';
const files = readdirSync(join(packageRoot, folder)).toSorted();
const pages = files.filter((name) => name.endsWith('.md')).map((name) => parsePage(`${folder}/${name}`, read(name)));
const yamlFiles = files.filter((name) => name.endsWith('.yml'));
const unitFiles = files.filter((name) => /\.(?:service|timer)$/.test(name));

function read(name: string): string {
  return readProjectFile(`${folder}/${name}`);
}

/** The command lines in the values of a YAML document: scripts, and containers' commands with arguments. */
function commandsIn(value: unknown): readonly (readonly string[])[] {
  if (typeof value === 'string') return commandLines(value);
  if (typeof value !== 'object' || value === null) return [];
  if ('command' in value && 'args' in value) return commandLines([value.command, value.args].flat().join(' '));
  return Object.values(value).flatMap(commandsIn);
}

function documentsOf(text: string): readonly unknown[] {
  const documents = parseAllDocuments(text);
  if ('empty' in documents) throw new Error('no document');
  expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([]);
  return documents.map((document) => document.toJS());
}

const found = [
  ...yamlFiles.map((name) => [name, documentsOf(read(name)).flatMap(commandsIn)] as const),
  ...unitFiles.map((name) => [name, commandLines(read(name))] as const),
  ...pages.map(({ path, blocks }) => {
    const ofYaml = blocks.filter(({ language }) => language === 'yaml');
    const ofShell = blocks.filter(({ language }) => language !== 'yaml');
    return [
      path,
      [
        ...ofYaml.flatMap(({ text }) => documentsOf(text).flatMap(commandsIn)),
        ...ofShell.flatMap(({ text }) => commandLines(text)),
      ],
    ] as const;
  }),
];
const commands = found.flatMap(([name, lines]) => lines.map((words) => ({ name, typed: words.join(' '), words })));

describe('recipes', () => {
  it('have a page for each file, and the list of all pages links each page', () => {
    const index = readPages().find(({ path }) => path === 'docs/README.md')!;
    const listed = index.links.map((link) => linkTarget(index, link).path);
    expect(pages.map(({ path }) => path).filter((path) => !listed.includes(path))).toEqual([]);
    const linked = pages.flatMap((page) => page.links.map((link) => linkTarget(page, link).path));
    expect([...yamlFiles, ...unitFiles].filter((name) => !linked.includes(`${folder}/${name}`))).toEqual([]);
  });

  it.each(yamlFiles)('%s is YAML', (name) => {
    for (const document of documentsOf(read(name))) expect(document).toBeTypeOf('object');
  });

  it.each(unitFiles)('%s is a unit', (name) => {
    const lines = read(name)
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(lines[0]).toBe('[Unit]');
    expect(lines.filter((line) => !/^(?:\[[A-Z][a-z]+\]|[A-Z][A-Za-z]+=\S.*)$/.test(line))).toEqual([]);
  });

  it.each([...yamlFiles, ...unitFiles.filter((name) => name.endsWith('.service'))])(
    '%s has a command of tenantctl',
    (name) => {
      expect(commands.filter((command) => command.name === name)).not.toEqual([]);
    },
  );
});

describe('each command line of a recipe', async () => {
  const noInventory = await answerWithoutInventory(['tenants', 'list', '--all']);

  it.each(commands)('$name: tenantctl $typed', async ({ words }) => {
    expect(await answerWithoutInventory(words)).toBe(noInventory);
  });

  it.each(['migrate --al', 'migrat --all', 'migrate --all --grace 30', 'migrate --all -o github -o table'])(
    'would not pass as: tenantctl %s',
    async (typed) => {
      expect(await answerWithoutInventory(typed.split(' '))).not.toBe(noInventory);
    },
  );

  it('is found wherever it stands', () => {
    expect(
      commandsIn({ a: [{ run: 'exec x/tenantctl migrate \\\n  --all\nnpm ci\ntenantctl doctor | cat' }] }),
    ).toEqual([['migrate', '--all'], ['doctor']]);
    expect(commandsIn('30 2 * * 1-5 root /opt/x/tenantctl doctor >> log\nExecStart=-/x/tenantctl dump')).toEqual([
      ['doctor'],
      ['dump'],
    ]);
    expect(commandsIn({ command: ['a/tenantctl'], args: ['migrate', '--all'] })).toEqual([['migrate', '--all']]);
    expect(() => commandsIn('tenantctl migrate --tenant $X')).toThrow('nobody said');
  });
});

describe('the times of the recipes', () => {
  it('leave room for the report after --grace', () => {
    const texts = [...yamlFiles, ...unitFiles].map(read).filter((text) => text.includes('--grace'));
    expect(texts).toHaveLength(4);
    for (const text of texts) {
      const graces = [...text.matchAll(/--grace[= ](\d+)s/g)].map(([, seconds]) => Number(seconds));
      const kill = /(?:terminationGracePeriodSeconds: |TimeoutStopSec=)(\d+)/.exec(text)?.[1];
      expect(Math.max(...graces) + 10).toBeLessThanOrEqual(Number(kill));
    }
  });
});

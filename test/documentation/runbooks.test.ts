import { describe, expect, it } from 'vitest';
import { runCli } from '../support/run-cli.ts';
import { answerWithoutInventory, commandLines } from './command-lines.ts';
import { linkTarget, readPages } from './pages.ts';

const pages = readPages();
const runbooks = pages.filter(({ path }) => path.startsWith('docs/runbooks/'));
const index = pages.find(({ path }) => path === 'docs/README.md')!;

/** Those in blocks, and those that stand in the text. */
const commands = runbooks.flatMap(({ path, blocks, spans }) => {
  const texts = [...blocks.map(({ text }) => text), ...spans];
  return texts.flatMap(commandLines).map((words) => ({ path, typed: words.join(' '), words }));
});

describe('runbooks', () => {
  it('are there, and linked from the list of all pages', () => {
    const linked = index.links.map((link) => linkTarget(index, link).path);
    expect(runbooks.map(({ path }) => path)).toContain('docs/runbooks/migration-failed.md');
    expect(runbooks.map(({ path }) => path).filter((path) => !linked.includes(path))).toEqual([]);
  });

  it('have a command for each way out', () => {
    const named = new Set(commands.map(({ words }) => words.slice(0, 2).join(' ')));
    for (const name of ['runs list', 'runs show', 'runs resume', 'migrate repair', 'migrate down', 'migrate status']) {
      expect(named).toContain(name);
    }
  });
});

describe('each command line of a runbook', async () => {
  const noInventory = await answerWithoutInventory(['tenants', 'list', '--all']);

  it.each(commands)('$path: tenantctl $typed', async ({ words }) => {
    // Looks at the machine alone when there is no inventory.
    if (words[0] === 'doctor') expect((await runCli(words)).exitCode).not.toBe(2);
    else expect(await answerWithoutInventory(words)).toBe(noInventory);
  });

  it('would not pass with a mistake', async () => {
    expect(await answerWithoutInventory(['runs', 'resum', 'k3f9'])).not.toBe(noInventory);
  });
});

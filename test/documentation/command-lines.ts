import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { planSchema } from '../../src/commands/migrate/plan-file.ts';
import { runCli } from '../support/run-cli.ts';

/** What stands for what only CI knows. */
const filledIn: Readonly<Record<string, string>> = {
  '${{ matrix.shard }}': '2',
  '$CI_NODE_INDEX/$CI_NODE_TOTAL': '2/4',
  // systemd's own way to write it.
  '%%': '%',
  'json=/var/lib/tenantctl/': 'json=',
  'prometheus=/var/lib/node_exporter/': 'prometheus=',
};

/** What `migrate --plan plan.json` finds. */
const emptyPlan = {
  schema: planSchema,
  environment: 'production',
  createdAt: '2026-11-22T10:15:00Z',
  target: { to: null, count: null, checkOrder: true },
  files: [],
  tenants: [],
  leftOut: [],
  shared: [],
};

/** The command lines of a shell text (or of a list of words), each as tenantctl gets it. */
export function commandLines(text: string): readonly (readonly string[])[] {
  const filled = Object.entries(filledIn).reduce((all, [from, to]) => all.replaceAll(from, to), text);
  const lines = filled.replaceAll(/\\\n\s*/g, ' ').split('\n');
  return lines.flatMap((line) => {
    const typed = /^(?:\$ |ExecStart=-?|(?:[\d*][\d*,/-]* ){5}\w+ )?(?:exec )?(?:\S*\/)?tenantctl ([^|;&>]*)/.exec(
      line.trim(),
    )?.[1];
    if (typed === undefined) return [];
    if (/[$'"`\\]/.test(typed)) throw new Error(`nobody said what stands for the variables of: ${line}`);
    return [typed.trim().split(/ +/)];
  });
}

/**
 * What is said of a command line where there is no inventory. A mistake in the line itself is told before that is
 * looked for, so that all lines without one have the same answer.
 */
export async function answerWithoutInventory(words: readonly string[]): Promise<string> {
  const cwd = await mkdtemp(join(tmpdir(), 'tenantctl-test-'));
  try {
    await writeFile(join(cwd, 'plan.json'), JSON.stringify(emptyPlan));
    const { exitCode, stderr } = await runCli(words, { cwd });
    if (exitCode !== 2) throw new Error(`tenantctl ${words.join(' ')} ended with ${exitCode}:\n${stderr}`);
    return stderr;
  } finally {
    await rm(cwd, { recursive: true });
  }
}

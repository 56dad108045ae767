import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Context, OutputStream } from '../context.ts';
import { breakOneTenant, createSampleFleet, repairTenant, unluckyTenant } from '../demo/sample-fleet.ts';
import { StoppedError, UsageError } from '../errors.ts';
import { describeInstallation, findPostgres } from '../postgres/local/binaries.ts';
import { startCluster } from '../postgres/local/cluster.ts';
import { Session } from '../postgres/session.ts';
import { type Command, textView } from './command.ts';
import { readSwitch, readTexts } from './read-options.ts';

/** `tenantctl demo`: the main job on a fleet that lives for half a minute. */
export const demo: Command<null, never> = {
  name: 'demo',
  summary: 'show the main job on a temporary PostgreSQL with 66 tenants, then remove it',
  examples: [['tenantctl demo', 'takes some ten seconds, needs PostgreSQL binaries and leaves nothing behind']],
  flags: [],
  view: textView,
  options: (raw) => {
    if (readSwitch(raw, 'json') || readTexts(raw, 'output').length > 0) {
      throw new UsageError('the demo is a story for people: it has no other format');
    }
    return null;
  },
  run: async (context) => {
    await runDemo(context);
    return { outcomes: [], text: ['', 'That was the demo. The temporary PostgreSQL and its files are gone.'] };
  },
};

async function runDemo(context: Context): Promise<void> {
  const postgres = await findPostgres({ env: context.env });
  if (postgres === null) {
    throw new UsageError('the demo needs PostgreSQL 14 or newer, and none was found', {
      hint: 'install it (Debian: apt-get install postgresql; macOS: brew install postgresql), or name its folder in TENANTCTL_TEST_PGBIN',
    });
  }
  const say = (text: string) => context.stdout.write(`${text}\n`);
  say(`Starting a temporary PostgreSQL (${describeInstallation(postgres)}).`);
  const cluster = await startCluster({ postgres, env: context.env });
  const folder = await mkdtemp(path.join(tmpdir(), 'tenantctl-demo-'));
  try {
    const connect = (database: string) =>
      Session.connect({ host: cluster.socketDir, port: cluster.port, user: cluster.user, database });
    const fleet = await createSampleFleet(folder, cluster.url('postgres'), connect);
    say(
      `A fleet: ${fleet.schemas} tenants with a schema in one database, ${fleet.databases} with a database of their own.`,
    );
    await tellTheStory(context, folder, connect, say);
  } finally {
    await rm(folder, { recursive: true, force: true });
    await cluster.stop();
  }
}

async function tellTheStory(
  context: Context,
  folder: string,
  connect: (database: string) => Promise<Session>,
  say: (text: string) => void,
): Promise<void> {
  const run = (words: readonly string[], expected: number) => runSelf(context, folder, words, expected, say);
  say('\nFive migrations of a sample application wait for them.');
  await run(['migrate', 'status', '--all'], 0);
  await run(['migrate', '--all'], 0);
  await run(['migrate', 'status', '--all'], 0);
  say('\nOnce more: nothing to do, and each database is asked only once.');
  await run(['migrate', '--all'], 0);

  say(
    `\nThe next release brings 0006_invoices.sql. But in ${unluckyTenant}, somebody made a table of that name by hand.`,
  );
  await breakOneTenant(folder, connect);
  await run(['migrate', '--all', '-o', 'json=report.json'], 3);
  say('\nThe other 65 are not touched by that. Repair the one, and run the command that the report names:');
  await repairTenant(connect);
  const report = JSON.parse(await readFile(path.join(folder, 'report.json'), 'utf8')) as { run: string };
  await run(['migrate', '--from-run', report.run, '--outcome', 'failed'], 0);
  await run(['migrate', 'status', '--all', '--check'], 0);
}

/** Runs tenantctl as a person would, in the demo's folder, and shows what was typed. */
async function runSelf(
  context: Context,
  folder: string,
  words: readonly string[],
  expected: number,
  say: (text: string) => void,
): Promise<void> {
  stopWhenAsked(context);
  say(`\n$ tenantctl ${words.join(' ')}`);
  const [program = '', ...first] = context.self;
  const child = spawn(program, [...first, ...words], {
    cwd: folder,
    env: { ...context.env, TENANTCTL_CONFIG: '' },
    stdio: ['ignore', channel(context.stdout), channel(context.stderr)],
  });
  child.stdout?.setEncoding('utf8').on('data', (text: string) => context.stdout.write(text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => context.stderr.write(text));
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
  stopWhenAsked(context);
  if (exitCode !== expected) throw new Error(`tenantctl ${words.join(' ')} ended with ${exitCode}, not ${expected}`);
}

/** Between two commands: the one that ran has told of itself. */
function stopWhenAsked(context: Context): void {
  if (context.interrupts.stop.aborted) throw new StoppedError('the demo was stopped, its PostgreSQL is gone');
}

/** On a terminal the child draws its live display itself. */
function channel(stream: OutputStream): 'inherit' | 'pipe' {
  return stream.isTTY ? 'inherit' : 'pipe';
}

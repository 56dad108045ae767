import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { findPostgres } from '../src/postgres/local/binaries.ts';
import { type LocalCluster, startCluster } from '../src/postgres/local/cluster.ts';
import { Session } from '../src/postgres/session.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
export const tenantctl = [process.execPath, path.join(root, 'bin', 'tenantctl.js')] as const;

export interface Bench {
  readonly cluster: LocalCluster;
  readonly folder: string;
  readonly connect: (database: string) => Promise<Session>;
}

/** A temporary server and folder for one scenario. `settings`: of the server, in place of ours. */
export async function withBench(
  work: (bench: Bench) => Promise<void>,
  settings: Readonly<Record<string, string | number>> = { max_connections: 60 },
): Promise<void> {
  const postgres = await findPostgres({ env: process.env });
  if (postgres === null) throw new Error('no PostgreSQL was found');
  const cluster = await startCluster({ postgres, env: process.env, settings });
  const folder = await mkdtemp(path.join(tmpdir(), 'tenantctl-bench-'));
  const connect = (database: string) =>
    Session.connect({ host: cluster.socketDir, port: cluster.port, user: cluster.user, database });
  try {
    await work({ cluster, folder, connect });
  } finally {
    await rm(folder, { recursive: true, force: true });
    await cluster.stop();
  }
}

/** Where psql or pgbench of the scenario's own PostgreSQL is. */
export function clientProgram({ cluster }: Bench, name: string): string {
  const { client, binDir } = cluster.postgres;
  return path.join(client?.binDir ?? binDir, name);
}

export interface Timing {
  readonly ms: number;
  /** Largest resident set of the program, in bytes. */
  readonly peakBytes: number;
}

const peakReporter = `data:text/javascript,${encodeURIComponent(
  "process.on('exit',()=>process._rawDebug('peak '+process.resourceUsage().maxRSS*1024))",
)}`;

/** Runs a program to its end; fails when it does. Peak memory is known of Node programs only. */
export async function time(
  words: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv; readonly peak?: boolean } = {},
): Promise<Timing> {
  const [program = '', ...rest] = words;
  const args = options.peak === true ? ['--import', peakReporter, ...rest] : rest;
  const started = performance.now();
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? -1));
  });
  const ms = performance.now() - started;
  if (exitCode !== 0) throw new Error(`${words.join(' ')} ended with ${exitCode}:\n${stderr.slice(-2000)}`);
  return { ms, peakBytes: Number(/peak (\d+)/.exec(stderr)?.[1] ?? 0) };
}

/** The middle of several runs: one slow run on a busy machine says nothing. */
export async function median(runs: number, once: () => Promise<Timing>): Promise<Timing> {
  const timings: Timing[] = [];
  for (let run = 0; run < runs; run += 1) timings.push(await once());
  return middle(timings);
}

/** The middle time, the largest peak. */
export function middle(timings: readonly Timing[]): Timing {
  const sorted = timings.toSorted((a, b) => a.ms - b.ms);
  const found = sorted[Math.floor(sorted.length / 2)];
  if (found === undefined) throw new Error('no run');
  return { ms: found.ms, peakBytes: Math.max(...timings.map(({ peakBytes }) => peakBytes)) };
}

/** One promise: what was measured, what it is compared with, and whether it is kept. */
export function report(what: string, measured: string, promise: string, isKept: boolean): void {
  process.stdout.write(`${isKept ? 'kept  ' : 'BROKEN'}  ${what}: ${measured}  (promised: ${promise})\n`);
  if (!isKept) process.exitCode = 1;
}

export function note(text: string): void {
  process.stdout.write(`        ${text}\n`);
}

export function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

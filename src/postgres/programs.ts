import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { TenantError } from '../errors.ts';
import type { ClientTools } from './local/client-tools.ts';

export type ProgramName = 'pg_dump' | 'pg_dumpall' | 'pg_restore' | 'psql';

export interface ProgramOptions {
  readonly args: readonly string[];
  /** All of it, from `nativeEnv`: how to reach the server stands nowhere else. */
  readonly env: Readonly<Record<string, string>>;
  /** Aborted: the program is asked to end, and made to when it does not. */
  readonly signal: AbortSignal;
  /** Is something written to its standard input? */
  readonly hasInput?: boolean;
}

/** One of PostgreSQL's own programs while it runs. */
export interface RunningProgram {
  readonly stdin: Writable | null;
  readonly stdout: Readable;
  /** Resolves when it has ended and all it wrote was read; rejects with a TenantError when it did not end with 0. */
  readonly ended: Promise<{ readonly stderr: string }>;
  stop(): void;
}

/** So long a program has to end by itself: it cancels its statement on the server then. */
const patienceMs = 5000;

/** What is kept of a program's messages, in characters. */
const keptStderr = 20_000;

/**
 * Starts a program in a process group of its own: a terminal's Ctrl-C must not reach it before us. Nothing secret
 * stands in its arguments. Whoever starts it reads `stdout` to its end or stops it.
 */
export function startProgram(tools: ClientTools, name: ProgramName, options: ProgramOptions): RunningProgram {
  const child = spawn(join(tools.binDir, name), [...options.args], {
    env: { ...options.env, ...tools.env },
    stdio: [options.hasInput === true ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < keptStderr) stderr += text;
  });
  // Who writes to a program that has ended learns it from `ended`.
  child.stdin?.on('error', () => {});
  const stop = () => stopChild(child);
  options.signal.addEventListener('abort', stop, { once: true });
  const ended = new Promise<{ stderr: string }>((resolve, reject) => {
    child.on('error', (cause) => {
      reject(
        new TenantError({ message: `${name} could not be started: ${cause.message}`, code: 'program' }, { cause }),
      );
    });
    child.on('close', (code, signal) => {
      if (code === 0) resolve({ stderr });
      else reject(new TenantError(programFailure(name, stderr, code, signal)));
    });
  }).finally(() => options.signal.removeEventListener('abort', stop));
  // It may fail before anybody waits for it.
  ended.catch(() => {});
  if (options.signal.aborted) stop();
  return { stdin: child.stdin, stdout: child.stdout as Readable, ended, stop };
}

/** Runs a program whose output is small; gives its standard output. */
export async function runProgram(tools: ClientTools, name: ProgramName, options: ProgramOptions): Promise<string> {
  const program = startProgram(tools, name, options);
  const chunks: Buffer[] = [];
  program.stdout.on('data', (chunk: Buffer) => void chunks.push(chunk));
  await program.ended;
  return Buffer.concat(chunks).toString('utf8');
}

function stopChild(child: ChildProcess): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs).unref();
  child.once('exit', () => clearTimeout(timer));
}

/** The first complaint is the message, in the program's own words; the rest is its detail. */
function programFailure(name: string, stderr: string, code: number | null, signal: string | null) {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const first = lines.find((line) => / error: | fatal: /i.test(line)) ?? lines[0];
  const message =
    first === undefined
      ? `${name} ended with ${signal === null ? `exit code ${code}` : signal} and said nothing`
      : first.startsWith(`${name}: `)
        ? first
        : `${name}: ${first}`;
  const rest = lines.filter((line) => line !== first).slice(0, 20);
  return { message, code: 'program', ...(rest.length === 0 ? {} : { detail: rest.join('\n') }) };
}

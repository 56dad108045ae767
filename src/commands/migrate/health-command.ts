import { ChildProcess, spawn } from 'node:child_process';
import { platform } from 'node:os';
import type { Context } from '../../context.ts';
import { errorCode } from '../../postgres/sqlstates.ts';

export interface HealthCommandOptions {
  /** Put beside the environment that tenantctl itself has. No secrets: other programs can read it. */
  readonly facts: Readonly<Record<string, string>>;
  /** For its standard input, which it need not read. */
  readonly input: string;
  readonly timeLimitMs?: number;
}

export interface HealthCommandResult {
  /** What is wrong: `ended with exit code 1`; null: nothing. */
  readonly problem: string | null;
  /** The end of what it said on both streams, in the order in which it came. */
  readonly lastLines: readonly string[];
}

const defaultTimeLimitMs = 5 * 60_000;
/** So long what is written last may take to come through; a child left behind keeps the streams open for ever. */
const drainMs = 1000;
const maxLines = 10;
const maxLineLength = 300;
/** Kept while it runs: more than is ever shown. */
const maxKept = 16_384;

const isWindows = platform() === 'win32';

/**
 * Runs a command line by the platform's shell. It has a process group of its own, so that a terminal's Ctrl-C does not
 * reach it first; when its time is up, or the operator cancels, the whole group is ended. Does not reject.
 */
export async function runHealthCommand(
  context: Pick<Context, 'env' | 'cwd' | 'interrupts'>,
  command: string,
  { facts, input, timeLimitMs = defaultTimeLimitMs }: HealthCommandOptions,
): Promise<HealthCommandResult> {
  const { cancel, abandon } = context.interrupts;
  if (cancel.aborted || abandon.aborted) return { problem: 'was not run: the run was cancelled', lastLines: [] };
  const child = start(command, context.cwd, { ...context.env, ...facts });
  if (!(child instanceof ChildProcess)) return { problem: child.problem, lastLines: [] };
  const output = keepEnd(child);
  // It may end without having read everything.
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  const ended = whenEnded(child);
  const early = endEarly(child, context, timeLimitMs);
  const problem = await Promise.race([ended, early.abandoned]);
  await early.settled();
  await Promise.race([output.drained(), early.abandoned]);
  output.letGo();
  early.close();
  return { problem: early.reason() ?? problem, lastLines: output.lastLines() };
}

function start(
  command: string,
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
): ChildProcess | { readonly problem: string } {
  try {
    return spawn(command, { shell: true, cwd, env: { ...env }, detached: !isWindows, windowsHide: true });
  } catch (error) {
    // Most reasons come as an event; an environment that is too large, for one, does not.
    return { problem: cannotRun(error) };
  }
}

function cannotRun(error: unknown): string {
  return `could not be run: ${errorCode(error) ?? String(error)}`;
}

/** Null: it ended with exit code 0. */
function whenEnded(child: ChildProcess): Promise<string | null> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(cannotRun(error)));
    child.once('exit', (code, signal) => {
      if (code === 0) resolve(null);
      else resolve(code === null ? `was ended by ${signal}` : `ended with exit code ${code}`);
    });
  });
}

/** Ends the command and its children when the time is up or the operator says so. */
function endEarly(
  child: ChildProcess,
  { env, interrupts: { cancel, abandon } }: Pick<Context, 'env' | 'interrupts'>,
  timeLimitMs: number,
) {
  let reason: string | null = null;
  let killer: ReturnType<typeof killGroup> | null = null;
  const abandoned = Promise.withResolvers<string>();
  const end = (why: string) => {
    reason ??= why;
    if (child.pid !== undefined) killer ??= killGroup(child.pid, env.PATH);
  };
  const timer = setTimeout(() => end(`did not end within ${timeLimitMs / 1000} s`), timeLimitMs);
  const onCancel = () => end('was cancelled');
  const onAbandon = () => abandoned.resolve('was left behind');
  cancel.addEventListener('abort', onCancel, { once: true });
  abandon.addEventListener('abort', onAbandon, { once: true });
  return {
    abandoned: abandoned.promise,
    reason: () => reason,
    /** It has ended by itself, or is being ended: then its children are waited for too. */
    settled: async () => {
      clearTimeout(timer);
      cancel.removeEventListener('abort', onCancel);
      await Promise.race([killer?.gone, abandoned.promise]);
    },
    /** Whoever leaves at once does not wait for what is still being ended. */
    close: () => {
      abandon.removeEventListener('abort', onAbandon);
      killer?.letGo();
      child.unref();
    },
  };
}

/** Asks the group to end, and ends it two seconds later; as a program of its own, which outlives us if need be. */
const killScript = `
kill -s TERM -- "-$1"
tries=0
while kill -s 0 -- "-$1" && [ "$tries" -lt 20 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
kill -s KILL -- "-$1"
`;

function killGroup(pid: number, path: string | undefined) {
  const killer = isWindows
    ? spawn('taskkill', ['/pid', String(pid), '/T', '/F'], { stdio: 'ignore', windowsHide: true })
    : spawn('/bin/sh', ['-c', killScript, 'tenantctl-kill', String(pid)], {
        env: { PATH: path },
        stdio: 'ignore',
        detached: true,
      });
  const gone = new Promise<void>((resolve) => {
    killer.once('error', () => resolve());
    killer.once('exit', () => resolve());
  });
  return { gone, letGo: () => killer.unref() };
}

/** Keeps the end of what a child writes. */
function keepEnd(child: ChildProcess) {
  let text = '';
  const streams = [child.stdout, child.stderr].filter((stream) => stream !== null);
  for (const stream of streams) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-maxKept);
    });
  }
  const closed = Promise.withResolvers<void>();
  child.once('close', () => closed.resolve());
  return {
    /** Everything that it wrote is here, or what keeps its streams open is not the command itself. */
    drained: async () => {
      const timer = setTimeout(() => closed.resolve(), drainMs);
      await closed.promise;
      clearTimeout(timer);
    },
    letGo: () => {
      closed.resolve();
      for (const stream of [...streams, child.stdin]) stream?.destroy();
    },
    lastLines: () =>
      text
        .split(/\r?\n/)
        .map((line) => line.trimEnd())
        .filter((line) => line !== '')
        .slice(-maxLines)
        .map((line) => (line.length > maxLineLength ? `${line.slice(0, maxLineLength)}…` : line)),
  };
}

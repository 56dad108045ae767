import { readFileSync } from 'node:fs';
import os from 'node:os';
import type { StopSignal } from './interrupts.ts';
import { openNodeStream } from './output/node-stream.ts';
import { runProgram } from './program.ts';

/** Runs the program on this process's arguments; resolves to its exit code. */
export async function main(): Promise<number> {
  // A promise that a migration in JavaScript forgot must not end a fleet's run in the middle, and without a report.
  process.on('unhandledRejection', (reason) => {
    process.stderr.write(`warning: a promise was rejected and nobody handled it: ${String(reason)}\n`);
  });
  return runProgram(process.argv.slice(2), {
    version: readVersion(),
    self: [process.execPath, ...process.argv.slice(1, 2)],
    env: process.env,
    cwd: process.cwd(),
    homeDir: os.homedir(),
    osUser: process.env.USER || os.userInfo().username,
    stdout: openNodeStream(process.stdout),
    stderr: openNodeStream(process.stderr),
    readStdin,
    prompt: process.stdin.isTTY && process.stderr.isTTY ? prompt : null,
    now: () => new Date(),
    onSignal,
  });
}

function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

async function readStdin(): Promise<string> {
  const { text } = await import('node:stream/consumers');
  return text(process.stdin);
}

async function prompt(question: string, stop: AbortSignal): Promise<string> {
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // While it asks, the terminal hands Ctrl-C to the prompt and not to the process.
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const closed = new Promise<never>((_, reject) => {
    terminal.on('close', () => reject(new Error('the terminal was closed')));
  });
  try {
    return await Promise.race([terminal.question(question, { signal: stop }), closed]);
  } catch (error) {
    // What is said next begins on a line of its own.
    process.stderr.write('\n');
    throw error;
  } finally {
    closed.catch(() => {});
    terminal.close();
  }
}

function onSignal(listener: (signal: StopSignal) => void): () => void {
  process.on('SIGINT', listener);
  process.on('SIGTERM', listener);
  return () => {
    process.off('SIGINT', listener);
    process.off('SIGTERM', listener);
  };
}

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { packageRoot } from '../../src/postgres/local/cache-folder.ts';

export interface SpawnResult {
  /** Null when a signal ended it. */
  readonly exitCode: number;
  readonly killedBy: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface SpawnedCli {
  readonly ended: Promise<SpawnResult>;
  readonly kill: (signal: NodeJS.Signals) => void;
  /** Resolves when stderr has that text; rejects when the program ends without it. */
  readonly stderrHas: (text: string) => Promise<void>;
  /** Resolves when stdout has so many lines. */
  readonly stdoutLines: (count: number) => Promise<void>;
}

/**
 * Runs bin/tenantctl.js as a process of its own, on pipes and with an almost empty environment. With `largestFileBytes`,
 * in steps of 512, no file of it grows beyond that: a disk that is full needs no disk, and no rights.
 */
export function spawnCli(
  argv: string,
  cwd: string,
  { largestFileBytes }: { readonly largestFileBytes?: number } = {},
): SpawnedCli {
  const program = join(packageRoot, 'bin', 'tenantctl.js');
  const words = [process.execPath, program, ...argv.split(' ')];
  const limit = `ulimit -f ${(largestFileBytes ?? 0) / 512}; exec "$0" "$@"`;
  const [command, ...args] = largestFileBytes === undefined ? words : ['/bin/sh', '-c', limit, ...words];
  const child = spawn(command!, args, {
    cwd,
    env: { PATH: process.env.PATH, HOME: join(cwd, 'no-such-home') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  const ended = new Promise<SpawnResult>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, killedBy) => resolve({ exitCode: code ?? -1, killedBy, ...output }));
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const until = (name: 'stdout' | 'stderr', isMet: (text: string) => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => isMet(output[name]) && resolve();
      child[name].on('data', look);
      look();
    });
  return {
    ended,
    kill: (signal) => void child.kill(signal),
    stderrHas: (text) =>
      Promise.race([
        until('stderr', (said) => said.includes(text)),
        ended.then(() => Promise.reject(new Error(`it ended without saying ${text}; it said:\n${output.stderr}`))),
      ]),
    stdoutLines: (count) => until('stdout', (said) => said.split('\n').length > count),
  };
}

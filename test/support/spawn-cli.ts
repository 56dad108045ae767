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
}

/** Runs bin/tenantctl.js as a process of its own, on pipes and with an almost empty environment. */
export function spawnCli(argv: string, cwd: string): SpawnedCli {
  const program = join(packageRoot, 'bin', 'tenantctl.js');
  const child = spawn(process.execPath, [program, ...argv.split(' ')], {
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
  return {
    ended,
    kill: (signal) => void child.kill(signal),
    stderrHas: (text) =>
      new Promise((resolve, reject) => {
        const look = () => output.stderr.includes(text) && resolve();
        child.stderr.on('data', look);
        look();
        void ended.then(() => reject(new Error(`it ended without saying ${text}; it said:\n${output.stderr}`)));
      }),
  };
}

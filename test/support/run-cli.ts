import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StopSignal } from '../../src/interrupts.ts';
import { packageRoot } from '../../src/postgres/local/cache-folder.ts';
import { runProgram } from '../../src/program.ts';

/** The world that a command line runs in. What is not said is empty: nothing of this machine's own leaks in. */
export interface CliOptions {
  /** An empty folder of its own when not given; it is gone when the program has ended. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where `~/.pgpass` and certificates are looked for; a folder that does not exist when not given. */
  readonly homeDir?: string;
  readonly osUser?: string;
  readonly stdin?: string;
  /** What a person types, a prompt each. Without any there is no terminal to ask on. */
  readonly answers?: readonly string[];
  /** Both streams are a terminal of that many columns. */
  readonly terminal?: { readonly columns: number };
  readonly now?: () => Date;
}

export interface CliResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Questions that were asked. */
  readonly questions: readonly string[];
}

/** A program that runs. */
export interface RunningCli {
  readonly ended: Promise<CliResult>;
  /** As a person's Ctrl-C, or Kubernetes, would. */
  signal(signal: StopSignal): void;
  /** Resolves when stderr has that text; rejects when the program ends without it. */
  stderrHas(text: string): Promise<void>;
}

/**
 * Runs the whole program in this process: `runCli('tenants list --all', { cwd })`. A command line in one string is cut
 * at blanks; give a list of words when one of them holds a blank.
 */
export function runCli(argv: string | readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(argv, options).ended;
}

/** The json document on stdout; fails when there is anything else on it. */
export function jsonOf<T = Record<string, unknown>>(result: CliResult): T {
  try {
    return JSON.parse(result.stdout) as T;
  } catch (cause) {
    throw new Error(`stdout is no json:\n${result.stdout}\nstderr:\n${result.stderr}`, { cause });
  }
}

/** For tests that send signals or watch what is said while the program runs. */
export function startCli(argv: string | readonly string[], options: CliOptions = {}): RunningCli {
  const words = typeof argv === 'string' ? argv.split(/\s+/).filter((word) => word !== '') : argv;
  const listeners = new Set<(signal: StopSignal) => void>();
  const stdout = new Recorder(options);
  const stderr = new Recorder(options);
  const questions: string[] = [];
  const answers = [...(options.answers ?? [])];

  const run = async (cwd: string): Promise<CliResult> => {
    const exitCode = await runProgram(words, {
      version: '0.0.0-test',
      self: [process.execPath, join(packageRoot, 'bin', 'tenantctl.js')],
      env: options.env ?? {},
      cwd,
      homeDir: options.homeDir ?? join(cwd, 'no-such-home'),
      osUser: options.osUser ?? 'nobody',
      stdout,
      stderr,
      readStdin: async () => options.stdin ?? '',
      prompt:
        options.answers === undefined
          ? null
          : async (question) => {
              questions.push(question);
              const answer = answers.shift();
              if (answer === undefined) throw new Error(`nobody answers: ${question}`);
              return answer;
            },
      now: options.now ?? (() => new Date()),
      onSignal: (listener) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    });
    return { exitCode, stdout: stdout.text, stderr: stderr.text, questions };
  };
  const ended = (options.cwd === undefined ? inEmptyFolder(run) : run(options.cwd)).finally(() => stderr.end());
  return {
    ended,
    signal: (signal) => {
      for (const listener of [...listeners]) listener(signal);
    },
    stderrHas: (text) => stderr.has(text),
  };
}

async function inEmptyFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'tenantctl-cli-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Waiting {
  readonly text: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A stream that keeps what is written to it. */
class Recorder {
  readonly isTTY: boolean;
  readonly columns: number;
  text = '';
  #hasEnded = false;
  #waiting: Waiting[] = [];

  constructor({ terminal }: CliOptions) {
    this.isTTY = terminal !== undefined;
    this.columns = terminal?.columns ?? 80;
  }

  write(text: string): void {
    this.text += text;
    const isMet = (each: Waiting) => this.text.includes(each.text);
    for (const each of this.#waiting.filter(isMet)) each.resolve();
    this.#waiting = this.#waiting.filter((each) => !isMet(each));
  }

  has(text: string): Promise<void> {
    if (this.text.includes(text)) return Promise.resolve();
    if (this.#hasEnded) return Promise.reject(this.#missing(text));
    return new Promise((resolve, reject) => this.#waiting.push({ text, resolve, reject }));
  }

  end(): void {
    this.#hasEnded = true;
    for (const { text, reject } of this.#waiting.splice(0)) reject(this.#missing(text));
  }

  #missing(text: string): Error {
    return new Error(`the program ended without saying ${JSON.stringify(text)}; it said:\n${this.text}`);
  }
}

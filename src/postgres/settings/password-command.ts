import { type ExecFileException, execFile } from 'node:child_process';
import { TenantError, UsageError } from '../../errors.ts';

export interface CommandOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs: number;
}

/**
 * Runs a program without a shell; the first line it prints is the password. What it prints on stdout never gets into an
 * error, what it says on stderr does.
 */
export function readPasswordFromCommand(
  serverId: string,
  command: readonly string[],
  options: CommandOptions,
): Promise<string> {
  const [program, ...args] = command;
  if (program === undefined || program === '') {
    return Promise.reject(new UsageError(`server ${serverId}: password.command names no program`));
  }
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      {
        cwd: options.cwd,
        env: { ...options.env },
        timeout: options.timeoutMs,
        // A program that ignores SIGTERM would hold up the run.
        killSignal: 'SIGKILL',
        maxBuffer: 1024 * 1024,
        encoding: 'utf8',
        windowsHide: true,
      },
      (error, stdout, stderr) => {
        const password = firstLine(stdout);
        if (error === null && password !== '') resolve(password);
        // The error is not kept as the cause: it carries the whole command line.
        else reject(failure(serverId, program, reasonOf(error, options.timeoutMs), tellable(stderr, stdout)));
      },
    );
    // Nothing to read: a program that asks a question sees the end of its input.
    child.stdin?.on('error', () => {});
    child.stdin?.end();
  });
}

/** Without its line end; spaces belong to the password. */
export function firstLine(text: string): string {
  return /^[^\r\n]*/.exec(text)?.[0] ?? '';
}

function reasonOf(error: ExecFileException | null, timeoutMs: number): string {
  if (error === null) return 'printed no password';
  if (typeof error.code === 'string') return `could not be run: ${error.code}`;
  if (error.killed === true) return `did not end within ${Math.round(timeoutMs / 1000)} s`;
  if (typeof error.code === 'number') return `ended with exit code ${error.code}`;
  return `was ended by ${error.signal}`;
}

function failure(serverId: string, program: string, reason: string, stderr: string): TenantError {
  return new TenantError({
    message: `server ${serverId}: the password command "${program}" ${reason}`,
    code: 'password-command',
    ...(stderr === '' ? {} : { detail: stderr }),
    hint: `run it by hand; it is servers.${serverId}.password.command in the inventory`,
  });
}

/** The end of what it said, without any line that it also printed as its result. */
function tellable(stderr: string, stdout: string): string {
  const printed = stdout.split(/\r?\n/).filter((line) => line !== '');
  return printed
    .reduce((text, line) => text.replaceAll(line, '***'), stderr)
    .trim()
    .slice(-1000);
}

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type ServerUser, spawnAs } from './server-user.ts';

const run = promisify(execFile);

export interface Version {
  readonly major: number;
  /** As the program writes it: `15.18`, `19beta1`. */
  readonly text: string;
}

/**
 * Runs `program --version`. Null when it is not there or cannot run here (another platform's binary, a missing
 * library, a folder that `user` cannot read).
 */
export async function readVersion(
  program: string,
  options: { readonly env: Readonly<Record<string, string | undefined>>; readonly user?: ServerUser | null },
): Promise<Version | null> {
  try {
    const { stdout } = await run(program, ['--version'], {
      ...spawnAs(options.user ?? null),
      env: { ...options.env },
      timeout: 10_000,
    });
    const match = /\(PostgreSQL\) ((\d+)\S*)/.exec(stdout);
    return match === null ? null : { major: Number(match[2]), text: match[1]! };
  } catch {
    return null;
  }
}

/** Sorts oldest first: `9.6` < `15.9` < `15.18`. */
export function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

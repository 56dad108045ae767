import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type ServerLaunch, serverEnv, startFailure } from './server-process.ts';
import { spawnAs } from './server-user.ts';

/** UTF-8 with byte order, the same on every machine; a system without C.UTF-8 (older macOS) has C, which sorts alike. */
const locales = ['C.UTF-8', 'C'] as const;

/** Makes the data directory: UTF8, superuser `postgres`, no passwords (the folder around it is closed). */
export async function initialiseData(launch: ServerLaunch): Promise<void> {
  const program = join(launch.binDir, 'initdb');
  const logFile = join(dirname(launch.dataDir), 'initdb.log');
  for (const locale of locales) {
    if (await runInitdb(program, { launch, logFile, locale })) return;
    await rm(launch.dataDir, { recursive: true, force: true });
  }
  throw await startFailure(program, logFile, 'failed');
}

async function runInitdb(
  program: string,
  options: { readonly launch: ServerLaunch; readonly logFile: string; readonly locale: string },
): Promise<boolean> {
  const { launch, logFile, locale } = options;
  const log = await open(logFile, 'a');
  try {
    const args = ['-D', launch.dataDir, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', `--locale=${locale}`];
    const child = spawn(program, [...args, '--no-sync', '--no-instructions'], {
      ...spawnAs(launch.user),
      env: serverEnv(launch.path),
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    return await once(child, 'exit').then(
      ([code]) => code === 0,
      () => false,
    );
  } finally {
    await log.close();
  }
}

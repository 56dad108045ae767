import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { type ServerUser, spawnAs } from './server-user.ts';

/**
 * Reads process ids from a pipe, and when the pipe closes, because tenantctl has closed it or is no more, stops the last
 * one and removes the folder. A server that outlives its tenantctl would hold memory and disk for ever.
 */
const script = `
pid=
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then
  kill -INT "$pid"
  tries=0
  while kill -0 "$pid" && [ "$tries" -lt 100 ]; do
    [ "$tries" -eq 50 ] && kill -QUIT "$pid"
    sleep 0.1
    tries=$((tries + 1))
  done
  kill -KILL "$pid"
fi
rm -rf "$1"
`;

/** Looks after one temporary cluster. */
export interface Watchdog {
  /** The process to stop should we die; null when there is none. */
  watch(pid: number | null): void;
  /** Lets it end: stops what it watches and removes the folder. Resolves when that is done. */
  end(): Promise<void>;
}

/** Starts one in a session of its own, as the server's user: neither a Ctrl-C nor our death reaches it. */
export function startWatchdog(folder: string, user: ServerUser | null, path: string | undefined): Watchdog {
  const child = spawn('/bin/sh', ['-c', script, 'tenantctl-watchdog', folder], {
    ...spawnAs(user),
    env: { PATH: path },
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  // It may be gone already (killed by hand): then nothing is watched, and the cluster still works.
  child.stdin.on('error', () => undefined);
  // A program that forgets to stop its cluster can still end.
  child.unref();
  if (child.stdin instanceof Socket) child.stdin.unref();
  return {
    watch: (pid) => void child.stdin.write(`${pid ?? ''}\n`),
    end: () => {
      child.ref();
      child.stdin.end();
      return ended;
    },
  };
}

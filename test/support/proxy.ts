import { createConnection, createServer, type Socket } from 'node:net';
import { inject, onTestFinished } from 'vitest';

/** A way to the run's server that can fall silent like a network that is gone, or break at the worst moment. */
export interface Proxy {
  readonly port: number;
  /** Nothing is closed, nothing arrives. */
  readonly fallSilent: () => void;
  /** From now on clients are told what the server says when it ends a session, and not that its connection has ended. */
  readonly holdEnds: () => void;
  /** Drops all connections, as a restart of what stands in between does. */
  readonly drop: () => void;
  /**
   * Breaks the connection of the `nth` COMMIT from now on, for once: `before` it reaches the server, or `after` the
   * server has committed and before its answer passes.
   */
  readonly cutAtCommit: (moment: 'before' | 'after', nth?: number) => void;
  /** Each message of a client is looked at before it passes, or breaks the connection; `null`: no more. */
  readonly watch: (look: ((text: string) => 'pass' | 'break') | null) => void;
}

/** Closed with the test. */
export async function openProxy(): Promise<Proxy> {
  const { socketDir, port } = inject('cluster');
  const sockets = new Set<Socket>();
  let isSilent = false;
  let holdsEnds = false;
  let cut: { moment: 'before' | 'after'; left: number } | null = null;
  let watcher: ((text: string) => 'pass' | 'break') | null = null;
  const relay = (from: Socket, to: Socket, look: (bytes: Buffer) => 'pass' | 'break') => {
    sockets.add(from);
    from.on('error', () => {});
    from.on('data', (bytes: Buffer) => {
      if (isSilent) return;
      if (look(bytes) === 'pass') return void to.write(bytes);
      from.destroy();
      to.destroy();
    });
    from.on('close', () => isSilent || holdsEnds || to.destroy());
  };
  const server = createServer((client) => {
    const backend = createConnection(`${socketDir}/.s.PGSQL.${port}`);
    let hasCommitted = false;
    relay(client, backend, (bytes) => {
      if (watcher?.(bytes.toString('latin1')) === 'break') return 'break';
      if (cut === null || !isCommit(bytes)) return 'pass';
      cut.left -= 1;
      if (cut.left > 0) return 'pass';
      const { moment } = cut;
      cut = null;
      hasCommitted = moment === 'after';
      return hasCommitted ? 'pass' : 'break';
    });
    // It answers when it has committed.
    relay(backend, client, () => (hasCommitted ? 'break' : 'pass'));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    server.close();
    drop();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return {
    port: address.port,
    fallSilent: () => {
      isSilent = true;
    },
    holdEnds: () => {
      holdsEnds = true;
    },
    drop,
    cutAtCommit: (moment, nth = 1) => {
      cut = { moment, left: nth };
    },
    watch: (look) => {
      watcher = look;
    },
  };
}

/** COMMIT is sent alone, when all before it was answered: a message of its own. */
function isCommit(bytes: Buffer): boolean {
  const text = 'COMMIT\0';
  return bytes.length === 5 + text.length && bytes[0] === 'Q'.charCodeAt(0) && bytes.toString('latin1', 5) === text;
}

import { createConnection, createServer, type Socket } from 'node:net';
import { inject, onTestFinished } from 'vitest';

/** A way to the run's server that can fall silent like a network that is gone: nothing is closed, nothing arrives. */
export interface Proxy {
  readonly port: number;
  readonly fallSilent: () => void;
}

/** Closed with the test. */
export async function openProxy(): Promise<Proxy> {
  const { socketDir, port } = inject('cluster');
  const sockets = new Set<Socket>();
  let isSilent = false;
  const relay = (from: Socket, to: Socket) => {
    sockets.add(from);
    from.on('error', () => {});
    from.on('data', (bytes) => isSilent || to.write(bytes));
    from.on('close', () => isSilent || to.destroy());
  };
  const server = createServer((client) => {
    const backend = createConnection(`${socketDir}/.s.PGSQL.${port}`);
    relay(client, backend);
    relay(backend, client);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return {
    port: address.port,
    fallSilent: () => {
      isSilent = true;
    },
  };
}

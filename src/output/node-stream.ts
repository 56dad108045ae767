import type { OutputStream } from '../context.ts';

/** A stream of the process made quiet about readers that go away, with a way to wait for what was written. */
export interface FlushableStream extends OutputStream {
  /** A promise when the reader is slow. */
  write(text: string): void | Promise<void>;
  /** All is handed over; rejects when it could not be (a full disk), but not when the reader went away (`| head`). */
  flush(): Promise<void>;
}

/** What the wrapper needs of a Node stream. */
export interface NodeWritable {
  write(text: string, done?: (error?: Error | null) => void): boolean;
  on(event: 'drain' | 'close' | 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export function openNodeStream(stream: NodeWritable): FlushableStream {
  let failure: NodeJS.ErrnoException | null = null;
  let drained: PromiseWithResolvers<void> | null = null;
  const wake = (): void => {
    drained?.resolve();
    drained = null;
  };
  stream.on('drain', wake);
  stream.on('close', wake);
  stream.on('error', (error) => {
    failure ??= error;
    wake();
  });
  return {
    write(text) {
      // A reader that went away wants no more; the run itself goes on.
      if (failure !== null || text === '' || stream.write(text)) return;
      drained ??= Promise.withResolvers();
      return drained.promise;
    },
    async flush() {
      if (failure === null) await new Promise<void>((resolve) => void stream.write('', () => resolve()));
      if (failure !== null && failure.code !== 'EPIPE') throw failure;
    },
    get isTTY() {
      return stream.isTTY === true;
    },
    get columns() {
      return stream.columns || 80;
    },
  };
}

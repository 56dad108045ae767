import type { Session } from './session.ts';

const repeatMs = 1000;
const dropMs = 15_000;

/**
 * Cancels what runs on a session until the returned function is called. PostgreSQL ignores a request that comes between
 * two statements, so it is repeated; when the network is gone no request helps, and the connection is dropped.
 */
export function keepCancelling(session: Session): () => void {
  const cancel = () => void session.cancel();
  cancel();
  const repeating = setInterval(cancel, repeatMs);
  const dropping = setTimeout(() => session.destroy(), dropMs);
  return () => {
    clearInterval(repeating);
    clearTimeout(dropping);
  };
}

/** Does work on a session; when the signal is aborted meanwhile, what runs there is cancelled until the work has ended. */
export async function cancelledBy<T>(signal: AbortSignal, session: Session, work: () => Promise<T>): Promise<T> {
  let stopCancelling = () => {};
  const cancel = () => {
    stopCancelling = keepCancelling(session);
  };
  signal.addEventListener('abort', cancel, { once: true });
  try {
    return await work();
  } finally {
    signal.removeEventListener('abort', cancel);
    stopCancelling();
  }
}

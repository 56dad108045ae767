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

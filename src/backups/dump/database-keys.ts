import { setTimeout as delay } from 'node:timers/promises';
import { TenantError } from '../../errors.ts';
import { gateKey, shapeKey, tryLockDatabase, unlockAll } from '../../postgres/advisory-locks.ts';
import { findKeyHolder } from '../../postgres/blockers.ts';
import { LockedError } from '../../postgres/lock-wait.ts';
import type { Session } from '../../postgres/session.ts';

export interface KeyWait {
  /** Milliseconds for both keys together. */
  readonly waitMs: number;
  /** Aborted: give up waiting. */
  readonly stop: AbortSignal;
  /** Said once, when there is somebody to wait for. */
  readonly onWait: (text: string) => void;
}

const pause = { firstMs: 25, longestMs: 1000 };

/**
 * Takes a database for work on all of it: closes the gate, so that no change of a tenant begins, then waits for those
 * that have begun. The keys are polled, never waited for: a waiter holds a snapshot that stalls concurrent index
 * builds. Throws a TenantError `locked` that names the holder when the time is up; then nothing is held.
 */
export async function takeDatabase(session: Session, wait: KeyWait): Promise<void> {
  const deadline = performance.now() + wait.waitMs;
  try {
    await takeKey(session, 'gate', deadline, wait);
    await takeKey(session, 'shape', deadline, wait);
  } catch (error) {
    await unlockAll(session).catch(() => {});
    throw error;
  }
}

async function takeKey(session: Session, lock: 'gate' | 'shape', deadline: number, wait: KeyWait): Promise<void> {
  const key = lock === 'gate' ? gateKey : shapeKey;
  for (let tries = 0; !(await tryLockDatabase(session, key)); tries += 1) {
    wait.stop.throwIfAborted();
    const isOver = performance.now() >= deadline;
    if (isOver || tries === 0) {
      const holder = await findKeyHolder(session, key);
      const locked = new LockedError(lock, holder, isOver ? wait.waitMs : null);
      if (isOver) throw new TenantError({ message: locked.message, code: locked.code, hint }, { cause: locked });
      wait.onWait(`${locked.message}; waiting`);
    }
    const pauseMs = Math.min(pause.longestMs, pause.firstMs * 2 ** tries);
    await delay(pauseMs * (0.5 + Math.random() / 2), undefined, { signal: wait.stop }).catch(() => {});
  }
}

const hint = 'wait for the other run to end and run the same command again, or give --lock-wait more time';

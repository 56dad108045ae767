import type { RdsState } from '../../aws/rds-state.ts';
import { type Failure, TenantError } from '../../errors.ts';

/**
 * What a state of AWS's means for us. `passing`: it goes through it, so wait; a word that nobody knows is one of these,
 * for the list grows. `lost`: it is being removed. `broken`: an operator is needed.
 */
export type StateKind = 'available' | 'stopped' | 'stopping' | 'starting' | 'passing' | 'lost' | 'broken';

const kinds: Readonly<Record<string, StateKind>> = {
  available: 'available',
  stopped: 'stopped',
  stopping: 'stopping',
  starting: 'starting',
  deleting: 'lost',
  deleted: 'lost',
  failed: 'broken',
  'inaccessible-encryption-credentials': 'broken',
  'incompatible-network': 'broken',
  'incompatible-option-group': 'broken',
  'incompatible-parameters': 'broken',
  'incompatible-restore': 'broken',
  'insufficient-capacity': 'broken',
  'restore-error': 'broken',
  'storage-full': 'broken',
  // AWS takes Start in this state once the key is there again.
  'inaccessible-encryption-credentials-recoverable': 'stopped',
};

export function stateKind(status: string): StateKind {
  return kinds[status.toLowerCase()] ?? 'passing';
}

/** Of a server in a state from which no waiting helps; null: there is hope. */
export function hopeless({ kind, id, status }: RdsState): Failure | null {
  const judged = stateKind(status);
  if (judged === 'lost') {
    const message = `${kind} ${id} is ${status}: it is being removed, and the tenants with it`;
    return { message, code: 'server-lost', hint: 'look at it in the RDS console now, and at its last snapshots' };
  }
  if (judged !== 'broken') return null;
  return {
    message: `${kind} ${id} is ${status}`,
    code: 'server-broken',
    hint: 'look at its events in the RDS console; run the same command again when it is well',
  };
}

export function throwIfHopeless(state: RdsState): void {
  const failure = hopeless(state);
  if (failure !== null) throw new TenantError(failure);
}

/** The time is over. What AWS began goes on; the same command looks at it again. */
export function tookTooLong({ kind, id, status }: RdsState, wanted: string): TenantError {
  return new TenantError({
    message: `${kind} ${id} is still ${status}, not ${wanted}, at the end of --wait`,
    code: 'timeout',
    hint: 'AWS goes on with what it began: run the same command again, which looks first, or give --wait more time',
  });
}

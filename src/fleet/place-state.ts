import { BatchQueue } from './batch-queue.ts';
import type { Batch, Place } from './place.ts';
import { placeKey } from './tenant.ts';

/** Where a place stands in its wave. */
export interface PlaceState<V> {
  readonly place: Place<unknown, V>;
  readonly key: string;
  state: 'waiting' | 'opening' | 'open' | 'closing' | 'closed';
  scope: unknown;
  readonly queue: BatchQueue;
  readonly running: Set<Batch>;
  busyTries: number;
  /** performance.now() before which nothing starts here. */
  notBefore: number;
}

export function beginPlace<V>(place: Place<unknown, V>): PlaceState<V> {
  return {
    place,
    key: placeKey(place),
    state: 'waiting',
    scope: undefined,
    queue: new BatchQueue(),
    running: new Set(),
    busyTries: 0,
    notBefore: 0,
  };
}

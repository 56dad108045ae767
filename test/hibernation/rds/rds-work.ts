import { onTestFinished } from 'vitest';
import { openRdsApi, type RdsApi } from '../../../src/aws/rds-api.ts';
import type { RdsTarget } from '../../../src/aws/rds-state.ts';
import type { Failure } from '../../../src/errors.ts';
import { ServerWatch } from '../../../src/hibernation/rds/server-watch.ts';
import type { ServerWork } from '../../../src/hibernation/rds/server-work.ts';
import type { RdsServer } from '../../support/rds-server.ts';

/** The real SDK, against the double. */
export async function openDouble(server: RdsServer): Promise<RdsApi> {
  const api = await openRdsApi({ region: 'eu-west-1', endpoint: server.url, profile: null });
  onTestFinished(() => api.close());
  return api;
}

export interface TestWork extends ServerWork {
  readonly steps: string[];
}

/** Work on one server that looks again at once. */
export function workOn(
  server: RdsServer,
  api: RdsApi,
  target: RdsTarget,
  { waitMs = 60_000, signal = new AbortController().signal, run = '2026-11-22T101500Z-k3f9' } = {},
): TestWork {
  const steps: string[] = [];
  return {
    ...{ api, target, run, steps },
    watch: new ServerWatch(api, { pollMs: 1, signal }),
    now: () => server.now,
    deadline: performance.now() + waitMs,
    onStep: (step) => void (steps.at(-1) === step || steps.push(step)),
  };
}

export async function failureOf(work: Promise<unknown>): Promise<Failure> {
  try {
    await work;
  } catch (error) {
    return (error as { failure: Failure }).failure;
  }
  throw new Error('it went well');
}

import { expect, it } from 'vitest';
import { withoutTenants } from '../../src/commands/read-fleet.ts';
import type { RunEvent } from '../../src/fleet/events.ts';
import { done, tenant } from '../output/samples.ts';

it('tells of a phase that only looks how far it is, and of no tenant', () => {
  const told: RunEvent[] = [];
  // Also where one such phase stands in another.
  const emit = withoutTenants(withoutTenants((event) => told.push(event)));
  const outcome = done('a');
  const phase = { type: 'phase', name: 'reading', servers: new Map([['main', 1]]) } as const;
  const notice = { type: 'notice', level: 'warning', message: 'slow' } as const;
  const ended = { type: 'phase-ended', name: 'reading' } as const;
  const events: readonly RunEvent[] = [
    phase,
    { type: 'started', tenant: tenant('a') },
    { type: 'step', tenant: tenant('a'), step: 'reading' },
    { type: 'settled', outcome },
    notice,
    ended,
  ];
  for (const event of events) emit(event);
  expect(told).toEqual([phase, { type: 'read', outcome }, notice, ended]);
});

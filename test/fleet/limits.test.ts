import { describe, expect, it } from 'vitest';
import type { ServerConfig } from '../../src/fleet/inventory/types.ts';
import { limitsOf, Occupancy } from '../../src/fleet/limits.ts';

const fleet = { concurrency: 16, perServer: 8, perDatabase: 4 };

function server(id: string, limits: ServerConfig['limits']): ServerConfig {
  return { id, url: null, replica: null, password: null, limits, rds: null };
}

describe('limitsOf', () => {
  it('lets a server be narrower than the fleet, never wider', () => {
    const servers = [
      server('small', { perServer: 2, perDatabase: 1 }),
      server('wide', { perServer: 99, perDatabase: 99 }),
    ];
    const { perServer, perDatabase } = limitsOf(fleet, [...servers, server('plain', {})]);
    expect(Object.fromEntries(perServer)).toEqual({ small: 2, wide: 8, plain: 8 });
    expect(Object.fromEntries(perDatabase)).toEqual({ small: 1, wide: 4, plain: 4 });
  });
});

describe('Occupancy', () => {
  const make = (limits: Partial<typeof fleet> = {}) =>
    new Occupancy({ fleet: { ...fleet, ...limits }, perServer: new Map([['small', 2]]), perDatabase: new Map() });

  it('has room while all three levels have', () => {
    const occupancy = make({ concurrency: 3, perDatabase: 2 });
    occupancy.take('main', 'a', 1);
    occupancy.take('main', 'a', 1);
    expect(occupancy.hasRoom('main', 'a', 1)).toBe(false);
    expect(occupancy.hasRoom('main', 'b', 1)).toBe(true);
    occupancy.take('small', 'c', 2);
    expect(occupancy.hasRoom('main', 'b', 1)).toBe(false);
    occupancy.giveBack('main', 'a', 1);
    expect(occupancy.hasRoom('main', 'a', 1)).toBe(true);
    expect(occupancy.hasRoom('small', 'd', 1)).toBe(false);
  });

  it('counts a batch once for the fleet, and each of its connections for the server', () => {
    const occupancy = make({ concurrency: 2, perServer: 8, perDatabase: 8 });
    occupancy.take('main', 'a', 7);
    expect(occupancy.hasRoom('main', 'b', 2)).toBe(false);
    expect(occupancy.hasRoom('main', 'b', 1)).toBe(true);
  });

  it('halves from what was in use, once for all that began before, and never below one', () => {
    const occupancy = make();
    for (let taken = 0; taken < 6; taken += 1) occupancy.take('main', `d${taken}`, 1);
    expect(occupancy.halveServer('main', 0)).toBe(3);
    expect(occupancy.halveServer('main', 0)).toBeNull();
    expect(occupancy.serverLimit('main')).toBe(3);
    expect(occupancy.halveServer('main', occupancy.halvings('main'))).toBe(1);
    expect(occupancy.halveServer('main', occupancy.halvings('main'))).toBe(1);
    expect(occupancy.serverLimit('small')).toBe(2);
  });
});

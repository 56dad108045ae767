import { describe, expect, test } from 'vitest';
import { keepStopped } from '../../../src/hibernation/rds/keep-stopped.ts';
import { readServerStates } from '../../../src/hibernation/rds/server-states.ts';
import { sleepTags } from '../../../src/hibernation/rds/sleep-tags.ts';
import { forgetSleep, startServer } from '../../../src/hibernation/rds/start-server.ts';
import { stopServer } from '../../../src/hibernation/rds/stop-server.ts';
import { withAwsCredentials } from '../../support/aws-credentials.ts';
import { startRdsServer } from '../../support/rds-server.ts';
import { failureOf, openDouble, type TestWork, workOn } from './rds-work.ts';

withAwsCredentials();

const instance = { kind: 'instance', id: 'one' } as const;
const cluster = { kind: 'cluster', id: 'many' } as const;
/** Of the moments at which a program may end, all of them, or some. */
const stride = process.env.TENANTCTL_SOAK === '1' ? 1 : 3;
const isCall = (action: string) => (call: string) => call.startsWith(action);

describe.each([{ otherSpelling: false }, { otherSpelling: true }])('codes of the wire: %j', (spelling) => {
  test.each([instance, cluster])('stops and starts $kind $id, and again is nothing new', async (target) => {
    const server = await startRdsServer(spelling);
    const double = server.add(target.kind, target.id);
    const api = await openDouble(server);
    const stopped = await stopServer(workOn(server, api, target), { snapshot: false });
    expect(stopped).toMatchObject({ already: false, snapshot: null, state: { status: 'stopped' } });
    expect(Object.fromEntries(double.tags)).toEqual({
      [sleepTags.state]: 'hibernated',
      [sleepTags.how]: 'stop',
      [sleepTags.run]: '2026-11-22T101500Z-k3f9',
      [sleepTags.since]: '2026-11-22T10:15:00.000Z',
    });
    expect(await stopServer(workOn(server, api, target), { snapshot: false })).toMatchObject({ already: true });
    expect(server.calls.filter(isCall('Stop'))).toHaveLength(1);

    const work = workOn(server, api, target);
    const started = await startServer(work);
    expect(started.status).toBe('available');
    await forgetSleep(work, started);
    expect(double.tags.size).toBe(0);
    expect((await startServer(workOn(server, api, target))).status).toBe('available');
    expect(server.calls.filter(isCall('Start'))).toHaveLength(1);
  });

  test('what is under way is waited for, whoever began it', async () => {
    const server = await startRdsServer(spelling);
    const api = await openDouble(server);
    const double = server.add('instance', 'one', { status: 'stopping', coming: ['stopping', 'stopped'] });
    const work = workOn(server, api, instance);
    expect((await stopServer(work, { snapshot: false })).state.status).toBe('stopped');
    expect(server.calls.filter(isCall('Stop'))).toEqual([]);
    Object.assign(double, { status: 'maintenance', coming: ['a-new-word-of-aws', 'available'] });
    double.tags.clear();
    await stopServer(work, { snapshot: false });
    expect(work.steps).toEqual(expect.arrayContaining(['waiting while it is a-new-word-of-aws', 'stopping']));
    expect(double.status).toBe('stopped');
  });

  test('a state that changes between look and call is looked at again', async () => {
    const server = await startRdsServer(spelling);
    const api = await openDouble(server);
    const double = server.add('instance', 'one', { coming: ['backing-up', 'backing-up', 'available'] });
    // Seen as available, and a backup has begun when it is told to stop.
    expect((await stopServer(workOn(server, api, instance), { snapshot: false })).state.status).toBe('stopped');
    expect(double.status).toBe('stopped');
    expect(server.calls.filter(isCall('Stop')).length).toBeGreaterThan(1);
  });

  test('a missing one is an error, never a success', async () => {
    const server = await startRdsServer(spelling);
    const api = await openDouble(server);
    const failure = await failureOf(stopServer(workOn(server, api, instance), { snapshot: false }));
    expect(failure.message).toBe('instance one (eu-west-1): there is no such instance in this region');
  });

  test('no capacity is asked for again until the time is over, and explained', async () => {
    const server = await startRdsServer(spelling);
    const api = await openDouble(server);
    server.add('instance', 'one', { status: 'stopped' });
    const code = spelling.otherSpelling ? 'InsufficientDBInstanceCapacityFault' : 'InsufficientDBInstanceCapacity';
    server.misbehave('StartDBInstance', 2, 400, code);
    const work = workOn(server, api, instance);
    expect((await startServer(work, { capacityPauseMs: 1 })).status).toBe('available');
    expect(work.steps[1]).toBe('waiting 1ms: AWS has no capacity for its instance class in its zone');

    server.servers.get('one')!.status = 'stopped';
    server.misbehave('StartDBInstance', 1000, 400, code);
    const failure = await failureOf(startServer(workOn(server, api, instance, { waitMs: 40 }), { capacityPauseMs: 1 }));
    expect(failure.message).toMatch(/no capacity for its instance class|is still stopped, not available/);
  });
});

describe('snapshots', () => {
  test('of an instance: with the stop, the name says when', async () => {
    const server = await startRdsServer();
    const api = await openDouble(server);
    const double = server.add('instance', 'one');
    const { snapshot } = await stopServer(workOn(server, api, instance), { snapshot: true });
    expect(snapshot).toBe('tenantctl-one-20261122-101500');
    expect(server.snapshots.map(({ id }) => id)).toEqual([snapshot]);
    expect(double.tags.get(sleepTags.snapshot)).toBe(snapshot);
  });

  test('of a cluster: made apart, and awaited before it is stopped', async () => {
    const server = await startRdsServer({ looks: 3 });
    const api = await openDouble(server);
    server.add('cluster', 'many');
    await stopServer(workOn(server, api, cluster), { snapshot: true });
    const order = server.calls.filter((call) => /Create|Stop|DescribeDBClusterSnapshots/.test(call));
    expect(order[1]).toBe('CreateDBClusterSnapshot many');
    expect(order.findIndex(isCall('Stop'))).toBeGreaterThan(order.lastIndexOf('DescribeDBClusterSnapshots many'));
    expect(server.snapshots).toMatchObject([{ status: 'available' }]);
  });

  test.each([instance, cluster])('without room for one, the $kind is not stopped', async (target) => {
    const server = await startRdsServer({ snapshotQuota: 0 });
    const api = await openDouble(server);
    const double = server.add(target.kind, target.id);
    const failure = await failureOf(stopServer(workOn(server, api, target), { snapshot: true }));
    expect(failure.message).toContain('the quota of manual snapshots is used up');
    expect(double.status).toBe('available');
  });

  test.each([instance, cluster])(
    'that of an earlier attempt at the $kind is taken, not a second one',
    async (target) => {
      const server = await startRdsServer();
      const api = await openDouble(server);
      server.add(target.kind, target.id);
      const stop = target.kind === 'cluster' ? 'StopDBCluster' : 'StopDBInstance';
      server.deny(stop);
      const work = workOn(server, api, target);
      const failure = await failureOf(stopServer(work, { snapshot: true }));
      expect(failure.message).toContain(`the IAM action rds:${stop}`);
      const [begun] = server.snapshots;
      expect(begun === undefined).toBe(target.kind === 'instance');
      const other = await startRdsServer();
      // The same world, seen by another machine that may.
      for (const double of server.servers.values()) other.add(double.kind, double.id, double);
      other.snapshots.push(...server.snapshots);
      other.now = new Date('2026-11-22T11:00:00Z');
      const { snapshot } = await stopServer(workOn(other, await openDouble(other), target), { snapshot: true });
      expect(snapshot).toBe(`tenantctl-${target.id}-20261122-101500`);
      expect(other.snapshots).toHaveLength(1);
    },
  );
});

test('a broken one is given up, with its state in the message', async () => {
  const server = await startRdsServer();
  const api = await openDouble(server);
  server.add('instance', 'one', { status: 'starting', coming: ['storage-full'] });
  const failure = await failureOf(startServer(workOn(server, api, instance)));
  expect(failure).toMatchObject({ message: 'instance one is storage-full', code: 'server-broken' });
});

test('a key that is gone is explained', async () => {
  const server = await startRdsServer();
  const api = await openDouble(server);
  server.add('instance', 'one', { status: 'stopped' });
  server.misbehave('StartDBInstance', 1, 400, 'KMSKeyNotAccessibleFault');
  const failure = await failureOf(startServer(workOn(server, api, instance)));
  expect(failure.message).toBe(
    'instance one (eu-west-1): starting it: the KMS key that its storage is encrypted with cannot be used',
  );
});

test('the end of all waiting is the end of this', async () => {
  const server = await startRdsServer();
  const api = await openDouble(server);
  server.add('instance', 'one', { status: 'stopping' });
  const stop = new AbortController();
  const work = workOn(server, api, instance, { signal: stop.signal });
  const stopped = stopServer(work, { snapshot: false });
  stop.abort(new Error('the operator left'));
  await expect(stopped).rejects.toThrow();
  const late = workOn(server, api, instance, { waitMs: 0 });
  expect(await failureOf(stopServer(late, { snapshot: false }))).toMatchObject({ code: 'timeout' });
});

describe('keep', () => {
  const nobody = async () => 0;
  async function sleeping() {
    const server = await startRdsServer();
    const api = await openDouble(server);
    const double = server.add('instance', 'one');
    await stopServer(workOn(server, api, instance), { snapshot: false });
    return { server, double, work: workOn(server, api, instance) };
  }

  test('AWS starts it after seven days, and it is stopped again', async () => {
    const { server, double, work } = await sleeping();
    expect(await keepStopped(work, nobody)).toMatchObject({ as: 'asleep', restarts: 0 });
    server.pass(6);
    expect(await keepStopped(work, nobody)).toMatchObject({ as: 'asleep' });
    server.pass(1);
    expect(await keepStopped(work, nobody)).toMatchObject({ as: 'later', state: { status: 'starting' } });
    await work.watch.now(instance);
    expect(await keepStopped(work, nobody, { looksOnly: true })).toMatchObject({ as: 'stopped-again' });
    expect(double.status).toBe('available');
    expect(await keepStopped(work, async () => 2)).toMatchObject({ as: 'in-use', connected: 2 });
    expect(await keepStopped(work, nobody)).toMatchObject({ as: 'stopped-again', restarts: 1 });
    expect(double.status).toBe('stopped');
    expect(double.tags.get(sleepTags.restarts)).toBe('1');
    // It sleeps since it was put to sleep, not since AWS woke it.
    expect(double.tags.get(sleepTags.since)).toBe('2026-11-22T10:15:00.000Z');
    expect(double.automaticRestartAt).toEqual(new Date('2026-12-06T10:15:00Z'));
  });

  test('maintenance comes to its end first', async () => {
    const { double, work } = await sleeping();
    Object.assign(double, { status: 'maintenance', coming: [] });
    expect(await keepStopped(work, nobody)).toMatchObject({ as: 'later' });
  });

  test('what a run has begun is left to it, and an hour later brought to its end', async () => {
    const { server, double, work } = await sleeping();
    double.tags.set(sleepTags.state, 'hibernating');
    double.status = 'available';
    expect(await keepStopped(work, nobody)).toMatchObject({ as: 'later' });
    server.pass(0.1);
    expect(await keepStopped(work, nobody)).toMatchObject({ as: 'stopped-again', restarts: 0 });
    expect(double.tags.get(sleepTags.state)).toBe('hibernated');
  });

  test('what is being woken is not stopped under the hands of who wakes it', async () => {
    const { double, work } = await sleeping();
    await startServer(work);
    expect(await keepStopped(work, nobody)).toMatchObject({ as: 'awake' });
    expect(double.status).toBe('available');
  });
});

describe('what was woken is not stopped by who began before', () => {
  /** Something else is done by another machine before the first look that waits. */
  function beside(work: TestWork, meanwhile: () => Promise<unknown>): TestWork {
    const { watch } = work;
    const look = watch.next.bind(watch);
    let first: Promise<unknown> | null = null;
    return Object.assign(work, {
      watch: Object.assign(watch, {
        next: async (target: typeof instance) => {
          first ??= meanwhile();
          await first;
          return look(target);
        },
      }),
    });
  }
  async function asleep(status: string) {
    const server = await startRdsServer();
    const api = await openDouble(server);
    const double = server.add('instance', 'one');
    await stopServer(workOn(server, api, instance), { snapshot: false });
    Object.assign(double, { status, automaticRestartAt: null });
    const wake = async () => {
      const work = workOn(server, api, instance, { run: 'wake' });
      await startServer(work);
      await forgetSleep(work, await work.watch.now(instance));
    };
    return { server, api, double, wake };
  }
  const keep = (work: TestWork, look = async () => 0) => keepStopped(work, look);

  test('by a stop that waits, nor by a round of --keep, before or after it has asked', async () => {
    const one = await asleep('available');
    one.double.tags.clear();
    const stopping = beside(workOn(one.server, one.api, instance, { run: 'stop' }), one.wake);
    expect(await failureOf(stopServer(stopping, { snapshot: false }))).toMatchObject({ code: 'waking' });
    expect([one.double.status, one.double.tags.size]).toEqual(['available', 0]);

    const two = await asleep('available');
    expect(await failureOf(keep(beside(workOn(two.server, two.api, instance), two.wake)))).toMatchObject({
      code: 'waking',
    });
    expect([two.double.status, two.double.tags.size]).toEqual(['available', 0]);

    const three = await asleep('available');
    const stops = three.server.calls.filter(isCall('Stop')).length;
    const counting = async () => three.wake().then(() => 0);
    expect(await keep(workOn(three.server, three.api, instance), counting)).toMatchObject({ as: 'awake' });
    expect(three.server.calls.filter(isCall('Stop'))).toHaveLength(stops);
  });

  test('and what somebody starts by hand is not stopped a second time', async () => {
    const { server, api, double } = await asleep('available');
    double.tags.clear();
    let looks = 0;
    const work = workOn(server, api, instance);
    const look = work.watch.next.bind(work.watch);
    Object.assign(work.watch, {
      next: (target: typeof instance) => {
        looks += 1;
        if (looks === 2) Object.assign(double, { status: 'available', coming: [] });
        return look(target);
      },
    });
    expect(await failureOf(stopServer(work, { snapshot: false }))).toMatchObject({ code: 'started' });
    expect(double.status).toBe('available');
  });

  test('of two that begin at once, one gives up; a mark that came late does not keep a server from waking', async () => {
    const { server, api, double, wake } = await asleep('available');
    double.tags.clear();
    const stop = () => stopServer(workOn(server, api, instance, { run: 'stop' }), { snapshot: false });
    double.status = 'starting';
    double.coming = ['starting', 'starting', 'starting', 'available'];
    const waking = beside(workOn(server, api, instance, { run: 'wake' }), async () => {
      double.tags.set(sleepTags.state, 'hibernating').set(sleepTags.run, 'stop');
    });
    expect(await failureOf(startServer(waking))).toMatchObject({ code: 'hibernating' });
    await stop();
    const late = beside(workOn(server, api, instance, { run: 'wake' }), async () => {
      double.tags.set(sleepTags.state, 'hibernated').set(sleepTags.run, 'stop');
    });
    expect((await startServer(late)).status).toBe('available');
    expect([double.tags.get(sleepTags.state), double.tags.get(sleepTags.run)]).toEqual(['waking', 'wake']);
    await expect(stop()).rejects.toMatchObject({ failure: { code: 'waking' } });
    await wake();
  });
});

test('states of many are read in one request a region, page by page, connecting to none', async () => {
  const server = await startRdsServer({ pageSize: 40 });
  const api = await openDouble(server);
  const servers = Array.from({ length: 90 }, (_, index) => ({ id: `s${index}`, rds: { instance: `i${index}` } }));
  for (const { rds } of servers.slice(1)) server.add('instance', rds.instance);
  server.servers.get('i5')!.tags.set(sleepTags.state, 'hibernating').set(sleepTags.how, 'stop');
  server.servers.get('i5')!.status = 'stopped';
  const states = await readServerStates([...servers, { id: 'elsewhere', rds: null }], async () => api);
  expect(states.size).toBe(89);
  expect(states.get('s5')).toMatchObject({ status: 'stopped', sleep: { state: 'hibernated', how: 'stop' } });
  expect(states.get('s6')!.sleep).toBeNull();
  expect(server.calls).toEqual(['DescribeDBInstances', 'DescribeDBInstances', 'DescribeDBInstances']);
});

test('all that wait share one look', async () => {
  const server = await startRdsServer();
  const api = await openDouble(server);
  for (const id of ['one', 'two', 'three']) server.add('instance', id);
  const { watch } = workOn(server, api, instance);
  const looked = await Promise.all(['one', 'two', 'three'].map((id) => watch.next({ kind: 'instance', id })));
  expect(looked.map(({ id }) => id)).toEqual(['one', 'two', 'three']);
  expect(server.calls).toEqual(['DescribeDBInstances']);
});

describe.each([instance, cluster])(
  'whoever ends in the middle, the same command again brings $kind to its end',
  (target) => {
    test('stopping, with a snapshot', async () => {
      for (let lasts = 0; ; lasts += stride) {
        const server = await startRdsServer();
        const api = await openDouble(server);
        const double = server.add(target.kind, target.id);
        server.lasts = lasts;
        const first = await stopServer(workOn(server, api, target), { snapshot: true }).catch(() => null);
        server.lasts = Number.POSITIVE_INFINITY;
        await stopServer(workOn(server, api, target), { snapshot: true });
        expect([double.status, double.tags.get(sleepTags.state), lasts]).toEqual(['stopped', 'hibernated', lasts]);
        expect(server.snapshots.map(({ id }) => id)).toEqual([`tenantctl-${target.id}-20261122-101500`]);
        expect(double.tags.get(sleepTags.snapshot)).toBe(server.snapshots[0]!.id);
        if (first !== null) return;
      }
    });

    test('starting', async () => {
      for (let lasts = 0; ; lasts += stride) {
        const server = await startRdsServer();
        const api = await openDouble(server);
        const double = server.add(target.kind, target.id);
        await stopServer(workOn(server, api, target), { snapshot: false });
        const wake = async () => {
          const work = workOn(server, api, target);
          await forgetSleep(work, await startServer(work));
          return true;
        };
        server.lasts = lasts;
        const first = await wake().catch(() => null);
        server.lasts = Number.POSITIVE_INFINITY;
        // Nobody is stopped again who is on the way up.
        const kept = await keepStopped(workOn(server, api, target), async () => 0, { looksOnly: true });
        expect(kept.as).not.toBe('stopped-again');
        await wake();
        expect([double.status, double.tags.size, lasts]).toEqual(['available', 0, lasts]);
        if (first !== null) return;
      }
    });
  },
);

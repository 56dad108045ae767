import { describe, expect, test } from 'vitest';
import { pauseSeconds, pauseServer, resumeServer } from '../../../src/hibernation/rds/pause-server.ts';
import { whyNotPause, whyNotStop } from '../../../src/hibernation/rds/refusals.ts';
import { sleepTags } from '../../../src/hibernation/rds/sleep-tags.ts';
import { withAwsCredentials } from '../../support/aws-credentials.ts';
import { type RdsServer, startRdsServer } from '../../support/rds-server.ts';
import type { RdsDouble } from '../../support/rds-xml.ts';
import { failureOf, openDouble, workOn } from './rds-work.ts';

withAwsCredentials();

const serverless = { min: 2, max: 8, pauseAfterS: null };
const cluster = { kind: 'cluster', id: 'many' } as const;

describe('pause', () => {
  async function paused(server: RdsServer, pauseAfterMs: number | null) {
    const api = await openDouble(server);
    return { api, result: await pauseServer(workOn(server, api, cluster), { pauseAfterMs }) };
  }

  test('down to nothing, and back to what was there before', async () => {
    const server = await startRdsServer();
    const double = server.add('cluster', 'many', { scaling: serverless });
    const { api } = await paused(server, 600_000);
    expect(double.scaling).toEqual({ min: 0, max: 8, pauseAfterS: 600 });
    expect(Object.fromEntries(double.tags)).toMatchObject({
      [sleepTags.state]: 'hibernated',
      [sleepTags.how]: 'pause',
      [sleepTags.scaling]: '2 8 -',
    });
    const again = await pauseServer(workOn(server, api, cluster), { pauseAfterMs: 600_000 });
    expect(again.already).toBe(true);
    await resumeServer(workOn(server, api, cluster));
    expect(double.scaling).toMatchObject({ min: 2, max: 8 });
    expect(double.tags.get(sleepTags.state)).toBe('waking');
  });

  test('a second attempt does not take the zero of the first for what was there', async () => {
    const server = await startRdsServer();
    const double = server.add('cluster', 'many', { scaling: { min: 0.5, max: 4, pauseAfterS: 3600 } });
    const api = await openDouble(server);
    await pauseServer(workOn(server, api, cluster), { pauseAfterMs: null });
    // As if it had ended before it said so.
    double.tags.set(sleepTags.state, 'hibernating');
    await pauseServer(workOn(server, api, cluster), { pauseAfterMs: null });
    await resumeServer(workOn(server, api, cluster));
    expect(double.scaling).toEqual({ min: 0.5, max: 4, pauseAfterS: 3600 });
  });

  test('AWS says no to its version: nothing of it was changed', async () => {
    const server = await startRdsServer();
    const double = server.add('cluster', 'many', { scaling: serverless });
    server.misbehave('ModifyDBCluster', 1, 400, 'InvalidParameterCombination');
    const api = await openDouble(server);
    const failure = await failureOf(pauseServer(workOn(server, api, cluster), { pauseAfterMs: null }));
    expect(failure.message).toContain('InvalidParameterCombination');
    expect(double.scaling).toEqual(serverless);
  });

  test.each([
    [null, 300],
    [1000, 300],
    [600_000, 600],
    [10 * 86_400_000, 86_400],
  ])('%s ms is %s s', (ms, seconds) => expect(pauseSeconds(ms)).toBe(seconds));
});

describe('refused before anything is done', () => {
  const stopped: readonly (readonly [string, RdsDouble['kind'], Partial<RdsDouble>, string | null])[] = [
    ['plain', 'instance', {}, null],
    ['plain', 'cluster', {}, null],
    ['copies', 'instance', { replicaOf: 'main' }, 'is a read replica of main'],
    ['copied', 'instance', { replicas: ['r1', 'r2'] }, 'has read replicas (r1 and r2)'],
    ['copied abroad', 'cluster', { replicas: ['arn:aws:rds:us-east-1:1:cluster:far'] }, 'has read replicas (far)'],
    ['in a cluster', 'instance', { clusterId: 'many' }, 'belongs to cluster many'],
    ['global', 'cluster', { globalCluster: 'world' }, 'is a member of the global database world'],
    ['serverless v1', 'cluster', { engineMode: 'serverless' }, 'is Serverless v1'],
    ['multi-AZ cluster', 'cluster', { engine: 'postgres' }, 'is a cluster of postgres'],
    ['broken', 'instance', { status: 'incompatible-network' }, 'is incompatible-network'],
    ['removed', 'instance', { status: 'deleting' }, 'it is being removed'],
    ['in maintenance', 'instance', { status: 'maintenance' }, null],
  ];

  test.each(stopped)('stop, %s %s', async (_name, kind, changes, reason) => {
    const server = await startRdsServer();
    server.add(kind, 'one', changes);
    const api = await openDouble(server);
    const [state] = (await api.describe([{ kind, id: 'one' }])).values();
    const failure = whyNotStop(state!, { snapshot: false });
    if (reason === null) expect(failure).toBeNull();
    else expect(failure?.message).toContain(reason);
    expect(server.calls).toHaveLength(1);
  });

  const pausing: readonly (readonly [string, RdsDouble['kind'], Partial<RdsDouble>, string | null])[] = [
    ['serverless v2', 'cluster', { scaling: serverless }, null],
    ['an instance', 'instance', {}, 'only a Serverless v2 cluster can pause'],
    ['provisioned', 'cluster', {}, 'has no Serverless v2 capacity'],
    ['global', 'cluster', { scaling: serverless, globalCluster: 'world' }, 'belongs to the global database world'],
    ['stopped', 'cluster', { scaling: serverless, status: 'stopped' }, 'is stopped'],
    [
      'being woken',
      'cluster',
      {
        scaling: serverless,
        tags: new Map([
          [sleepTags.state, 'waking'],
          [sleepTags.how, 'stop'],
        ]),
      },
      'is being woken since',
    ],
  ];

  test.each(pausing)('pause, %s', async (_name, kind, changes, reason) => {
    const server = await startRdsServer();
    server.add(kind, 'one', changes);
    const api = await openDouble(server);
    const [state] = (await api.describe([{ kind, id: 'one' }])).values();
    const failure = whyNotPause(state!);
    if (reason === null) expect(failure).toBeNull();
    else expect(failure?.message).toContain(reason);
  });
});

describe('requests', () => {
  test('throttled ones are sent again', async () => {
    const server = await startRdsServer();
    server.add('instance', 'one');
    server.misbehave('DescribeDBInstances', 1, 400, 'Throttling');
    const api = await openDouble(server);
    expect((await api.describe([{ kind: 'instance', id: 'ONE' }])).size).toBe(1);
    expect(server.calls).toHaveLength(2);
  });

  test.each([
    ['DescribeDBInstances', 'describe'],
    ['AddTagsToResource', 'tag'],
    ['StopDBInstance', 'stop'],
  ])('denied %s: the error names it', async (action, call) => {
    const server = await startRdsServer();
    server.add('instance', 'one');
    const api = await openDouble(server);
    const target = { kind: 'instance', id: 'one' } as const;
    const [state] = (await api.describe([target])).values();
    server.deny(action);
    const work =
      call === 'describe'
        ? api.describe([target])
        : call === 'tag'
          ? api.tag(state!, new Map())
          : api.stop(target, null);
    const failure = await failureOf(work);
    expect(failure.message).toMatch(
      new RegExp(`\\(eu-west-1\\): .*access denied: the IAM action rds:${action} is missing`),
    );
    expect(failure.hint).toContain(`allow rds:${action}`);
  });
});

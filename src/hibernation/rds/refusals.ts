import type { RdsState } from '../../aws/rds-state.ts';
import type { Failure } from '../../errors.ts';
import { listNames } from '../../words.ts';
import { hopeless } from './judge-state.ts';
import { readSleep } from './sleep-tags.ts';

function refused(state: RdsState, reason: string, hint: string): Failure {
  return { message: `${state.kind} ${state.id} ${reason}`, code: 'refused', hint };
}

const byArchive = 'put its tenants to sleep one by one: --how archive';

/** Why AWS would not stop it, or must not be asked to; null: it may be stopped. Nothing is touched. */
export function whyNotStop(state: RdsState, wants: { readonly snapshot: boolean }): Failure | null {
  return hopeless(state) ?? whyNotSleep(state, 'stop') ?? whyNotKind(state) ?? whyNotSnapshot(state, wants.snapshot);
}

function whyNotKind(state: RdsState): Failure | null {
  const { clusterId, replicaOf, replicas, globalCluster, engineMode, kind } = state;
  if (clusterId !== null) {
    const hint = `name the cluster in the inventory: rds: { cluster: ${clusterId} }`;
    return refused(state, `belongs to cluster ${clusterId}, and AWS stops clusters as a whole`, hint);
  }
  if (replicaOf !== null)
    return refused(state, `is a read replica of ${shortName(replicaOf)}, which AWS does not stop`, byArchive);
  if (replicas.length > 0) {
    return refused(
      state,
      `has read replicas (${listNames(replicas.map(shortName))}), so AWS does not stop it`,
      byArchive,
    );
  }
  if (globalCluster !== null || engineMode === 'global') {
    const name = globalCluster === null ? '' : ` ${globalCluster}`;
    return refused(state, `is a member of the global database${name}, which AWS does not stop`, byArchive);
  }
  if (engineMode === 'serverless') return refused(state, 'is Serverless v1, which AWS does not stop', byArchive);
  if (engineMode === 'multimaster') return refused(state, 'has several writers, so AWS does not stop it', byArchive);
  if (kind === 'cluster' && !state.engine.startsWith('aurora')) {
    return refused(state, `is a cluster of ${state.engine}, and AWS stops only those of Aurora`, byArchive);
  }
  return null;
}

/** A snapshot name would be asked for and not be given. */
function whyNotSnapshot(state: RdsState, snapshot: boolean): Failure | null {
  if (!snapshot || state.status !== 'stopped') return null;
  if (readSleep(state) !== null) return null;
  return refused(state, 'is stopped already, so no snapshot is taken before', 'leave out --snapshot, or wake it first');
}

/** Why it cannot go down to nothing; null: it can. Nothing is touched. */
export function whyNotPause(state: RdsState): Failure | null {
  if (state.kind === 'instance') {
    return refused(state, 'is an instance: only a Serverless v2 cluster can pause', 'use --how stop');
  }
  const broken = hopeless(state) ?? whyNotSleep(state, 'pause');
  if (broken !== null) return broken;
  if (state.scaling === null) {
    return refused(state, 'has no Serverless v2 capacity that could go down to 0', 'use --how stop');
  }
  if (state.globalCluster !== null) {
    return refused(state, `belongs to the global database ${state.globalCluster}, and does not pause`, byArchive);
  }
  if (state.status === 'stopped')
    return refused(state, 'is stopped, and costs less than a paused one', 'leave it, or wake it');
  return null;
}

/** It sleeps in another way, or is being woken. */
function whyNotSleep(state: RdsState, how: 'stop' | 'pause'): Failure | null {
  const sleep = readSleep(state);
  if (sleep === null) return null;
  if (sleep.state === 'waking') {
    const hint = 'let it come to its end: tenantctl wake, with the same selection';
    return {
      ...refused(state, `is being woken since ${sleep.since.toISOString()} by run ${sleep.run}`, hint),
      code: 'waking',
    };
  }
  if (sleep.how === how) return null;
  return refused(state, `sleeps already, by ${sleep.how}`, 'wake it first');
}

/** An ARN's last part; the identifier itself where it is none. */
function shortName(name: string): string {
  return name.split(':').at(-1) ?? name;
}

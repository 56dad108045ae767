import type { DBCluster, DBInstance, Tag } from '@aws-sdk/client-rds';

/** A server as the RDS API names it. */
export interface RdsTarget {
  readonly kind: 'instance' | 'cluster';
  readonly id: string;
}

/** Of a Serverless v2 cluster: capacity in ACU. `pauseAfterS` null: it never pauses. */
export interface RdsScaling {
  readonly min: number;
  readonly max: number;
  readonly pauseAfterS: number | null;
}

/** What AWS says of a server now. */
export interface RdsState extends RdsTarget {
  readonly arn: string;
  /** AWS's own word; the list grows. */
  readonly status: string;
  readonly engine: string;
  /** `provisioned`, `serverless` (v1), `global`, …; null for an instance. */
  readonly engineMode: string | null;
  /** When AWS will start a stopped one. */
  readonly automaticRestartAt: Date | null;
  readonly tags: Tags;
  /** The cluster that an instance belongs to. */
  readonly clusterId: string | null;
  /** The server that this one copies, and those that copy this one. */
  readonly replicaOf: string | null;
  readonly replicas: readonly string[];
  readonly isMultiAz: boolean;
  readonly globalCluster: string | null;
  readonly scaling: RdsScaling | null;
}

export type Tags = ReadonlyMap<string, string>;

export interface RdsSnapshot {
  readonly id: string;
  /** `creating`, `available`, `failed`, … */
  readonly status: string;
}

/** Names a target among others of its region: identifiers know no capitals. */
export function targetKey({ kind, id }: RdsTarget): string {
  return `${kind}:${id.toLowerCase()}`;
}

/** An instance of the API as a server. */
export function instanceState(instance: DBInstance): RdsState {
  return {
    kind: 'instance',
    id: instance.DBInstanceIdentifier ?? '',
    arn: instance.DBInstanceArn ?? '',
    status: instance.DBInstanceStatus ?? 'unknown',
    engine: instance.Engine ?? '',
    engineMode: null,
    automaticRestartAt: instance.AutomaticRestartTime ?? null,
    tags: tagMap(instance.TagList),
    clusterId: instance.DBClusterIdentifier ?? null,
    replicaOf: instance.ReadReplicaSourceDBInstanceIdentifier ?? instance.ReadReplicaSourceDBClusterIdentifier ?? null,
    replicas: [
      ...(instance.ReadReplicaDBInstanceIdentifiers ?? []),
      ...(instance.ReadReplicaDBClusterIdentifiers ?? []),
    ],
    isMultiAz: instance.MultiAZ ?? false,
    globalCluster: null,
    scaling: null,
  };
}

/** A cluster of the API as a server. */
export function clusterState(cluster: DBCluster): RdsState {
  const scaling = cluster.ServerlessV2ScalingConfiguration;
  return {
    kind: 'cluster',
    id: cluster.DBClusterIdentifier ?? '',
    arn: cluster.DBClusterArn ?? '',
    status: cluster.Status ?? 'unknown',
    engine: cluster.Engine ?? '',
    engineMode: cluster.EngineMode ?? null,
    automaticRestartAt: cluster.AutomaticRestartTime ?? null,
    tags: tagMap(cluster.TagList),
    clusterId: null,
    replicaOf: cluster.ReplicationSourceIdentifier ?? null,
    replicas: cluster.ReadReplicaIdentifiers ?? [],
    isMultiAz: cluster.MultiAZ ?? false,
    globalCluster: cluster.GlobalClusterIdentifier ?? null,
    scaling:
      scaling?.MaxCapacity === undefined
        ? null
        : {
            min: scaling.MinCapacity ?? 0,
            max: scaling.MaxCapacity,
            pauseAfterS: scaling.SecondsUntilAutoPause ?? null,
          },
  };
}

function tagMap(tags: readonly Tag[] | undefined): Tags {
  return new Map((tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));
}

/** Tags as a request has them. */
export function tagList(tags: Tags): Tag[] {
  return [...tags].map(([Key, Value]) => ({ Key, Value }));
}

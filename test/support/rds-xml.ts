export const account = '123456789012';

/** An instance or a cluster, as a test makes it and looks at it. */
export interface RdsDouble {
  readonly kind: 'instance' | 'cluster';
  readonly id: string;
  status: string;
  engine: string;
  engineMode: string | null;
  readonly tags: Map<string, string>;
  automaticRestartAt: Date | null;
  clusterId: string | null;
  replicaOf: string | null;
  replicas: readonly string[];
  globalCluster: string | null;
  scaling: { min: number; max: number; pauseAfterS: number | null } | null;
  /** Where it goes next, one step a look: `stopping`, `stopping`, `stopped`. */
  coming: string[];
}

function element(name: string, value: string | number | null): string {
  return value === null ? '' : `<${name}>${value}</${name}>`;
}

function tagsXml({ tags }: RdsDouble): string {
  const list = [...tags].map(([key, value]) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`);
  return `<TagList>${list.join('')}</TagList>`;
}

/** As DescribeDBInstances has it. */
export function instanceXml(server: RdsDouble): string {
  const replicas = server.replicas.map((id) => element('ReadReplicaDBInstanceIdentifier', id)).join('');
  return `<DBInstance>${[
    element('DBInstanceIdentifier', server.id),
    element('DBInstanceArn', `arn:aws:rds:eu-west-1:${account}:db:${server.id}`),
    element('DBInstanceStatus', server.status),
    element('Engine', server.engine),
    element('DBClusterIdentifier', server.clusterId),
    element('ReadReplicaSourceDBInstanceIdentifier', server.replicaOf),
    `<ReadReplicaDBInstanceIdentifiers>${replicas}</ReadReplicaDBInstanceIdentifiers>`,
    element('AutomaticRestartTime', server.automaticRestartAt?.toISOString() ?? null),
    tagsXml(server),
  ].join('')}</DBInstance>`;
}

/** As DescribeDBClusters has it. */
export function clusterXml(server: RdsDouble): string {
  const { scaling } = server;
  const serverless =
    scaling === null
      ? ''
      : [
          element('MinCapacity', scaling.min),
          element('MaxCapacity', scaling.max),
          element('SecondsUntilAutoPause', scaling.pauseAfterS),
        ].join('');
  const replicas = server.replicas.map((id) => element('ReadReplicaIdentifier', id)).join('');
  return `<DBCluster>${[
    element('DBClusterIdentifier', server.id),
    element('DBClusterArn', `arn:aws:rds:eu-west-1:${account}:cluster:${server.id}`),
    element('Status', server.status),
    element('Engine', server.engine),
    element('EngineMode', server.engineMode),
    element('GlobalClusterIdentifier', server.globalCluster),
    element('ReplicationSourceIdentifier', server.replicaOf),
    `<ReadReplicaIdentifiers>${replicas}</ReadReplicaIdentifiers>`,
    element('AutomaticRestartTime', server.automaticRestartAt?.toISOString() ?? null),
    serverless === '' ? '' : element('ServerlessV2ScalingConfiguration', serverless),
    tagsXml(server),
  ].join('')}</DBCluster>`;
}

/** Instance codes lose `Fault` and cluster codes keep it, and some do otherwise. */
export function respelled(code: string): string {
  if (!/^(?:DB|InvalidDB|Snapshot|Insufficient|KMSKey)/.test(code)) return code;
  return code.endsWith('Fault') ? code.slice(0, -'Fault'.length) : `${code}Fault`;
}

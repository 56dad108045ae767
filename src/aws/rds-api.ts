import {
  AddTagsToResourceCommand,
  CreateDBClusterSnapshotCommand,
  ModifyDBClusterCommand,
  paginateDescribeDBClusterSnapshots,
  paginateDescribeDBClusters,
  paginateDescribeDBInstances,
  paginateDescribeDBSnapshots,
  RDSClient,
  RemoveTagsFromResourceCommand,
  StartDBClusterCommand,
  StartDBInstanceCommand,
  StopDBClusterCommand,
  StopDBInstanceCommand,
} from '@aws-sdk/client-rds';
import { type AwsError, awsError } from './aws-errors.ts';
import { rdsMeanings } from './rds-meanings.ts';
import {
  clusterState,
  instanceState,
  type RdsScaling,
  type RdsSnapshot,
  type RdsState,
  type RdsTarget,
  type Tags,
  tagList,
  targetKey,
} from './rds-state.ts';

export interface RdsClientOptions {
  /** Null: that of the environment or the profile. */
  readonly region: string | null;
  /** Of a service other than Amazon's, for tests. */
  readonly endpoint: string | null;
  /** Null: the default chain. */
  readonly profile: string | null;
}

/** As much of the RDS API as putting servers to sleep needs. What fails is an AwsError that names the IAM action. */
export interface RdsApi {
  /** Of its servers, for messages. */
  readonly region: string;
  /** All that are there, in one request for up to a hundred of a kind. By `targetKey`. */
  describe(targets: readonly RdsTarget[]): Promise<ReadonlyMap<string, RdsState>>;
  /** `snapshot`: taken just before, of an instance only; AWS knows none for a cluster. */
  stop(target: RdsTarget, snapshot: string | null): Promise<void>;
  start(target: RdsTarget): Promise<void>;
  snapshotCluster(target: RdsTarget, snapshot: string, tags: Tags): Promise<void>;
  /** Null: there is none of that name. */
  describeSnapshot(target: RdsTarget, snapshot: string): Promise<RdsSnapshot | null>;
  scale(target: RdsTarget, scaling: RdsScaling): Promise<void>;
  tag(state: RdsState, tags: Tags): Promise<void>;
  untag(state: RdsState, keys: readonly string[]): Promise<void>;
  close(): void;
}

/** So many values a filter takes. */
const filterValues = 100;

/** Credentials are found by the AWS SDK: variables, profiles, roles of the machine. Throttling is retried as it does. */
export async function openRdsApi({ region, endpoint, profile }: RdsClientOptions): Promise<RdsApi> {
  const open = (known: string | null) =>
    new RDSClient({
      ...(known !== null && { region: known }),
      ...(endpoint !== null && { endpoint }),
      ...(profile !== null && { profile }),
      requestHandler: { connectionTimeout: 10_000, requestTimeout: 60_000, throwOnRequestTimeout: true },
    });
  const client = open(region);
  try {
    return new SdkRdsApi(client, await client.config.region());
  } catch (error) {
    client.destroy();
    throw awsError(error, { what: 'RDS', doing: 'finding the region', action: 'rds:DescribeDBInstances' });
  }
}

class SdkRdsApi implements RdsApi {
  readonly region: string;
  readonly #client: RDSClient;

  constructor(client: RDSClient, region: string) {
    this.#client = client;
    this.region = region;
  }

  async describe(targets: readonly RdsTarget[]): Promise<ReadonlyMap<string, RdsState>> {
    const idsOf = (kind: RdsTarget['kind']) => [
      ...new Set(targets.filter((target) => target.kind === kind).map(({ id }) => id.toLowerCase())),
    ];
    const states = await Promise.all([
      ...chunksOf(idsOf('instance')).map((ids) => this.#describeInstances(ids)),
      ...chunksOf(idsOf('cluster')).map((ids) => this.#describeClusters(ids)),
    ]);
    return new Map(states.flat().map((state) => [targetKey(state), state]));
  }

  #describeInstances(ids: readonly string[]): Promise<RdsState[]> {
    return this.#named('looking at it', 'rds:DescribeDBInstances', nameAll('instance', ids), async () => {
      const states: RdsState[] = [];
      const filter = { Filters: [{ Name: 'db-instance-id', Values: [...ids] }] };
      for await (const { DBInstances = [] } of paginateDescribeDBInstances({ client: this.#client }, filter)) {
        states.push(...DBInstances.map(instanceState));
      }
      return states;
    });
  }

  #describeClusters(ids: readonly string[]): Promise<RdsState[]> {
    return this.#named('looking at it', 'rds:DescribeDBClusters', nameAll('cluster', ids), async () => {
      const states: RdsState[] = [];
      const filter = { Filters: [{ Name: 'db-cluster-id', Values: [...ids] }] };
      for await (const { DBClusters = [] } of paginateDescribeDBClusters({ client: this.#client }, filter)) {
        states.push(...DBClusters.map(clusterState));
      }
      return states;
    });
  }

  stop(target: RdsTarget, snapshot: string | null): Promise<void> {
    const { kind, id } = target;
    if (kind === 'cluster') {
      const command = new StopDBClusterCommand({ DBClusterIdentifier: id });
      return this.#on(target, 'stopping it', 'rds:StopDBCluster', () => this.#client.send(command));
    }
    const command = new StopDBInstanceCommand({
      DBInstanceIdentifier: id,
      ...(snapshot !== null && { DBSnapshotIdentifier: snapshot }),
    });
    const action = snapshot === null ? 'rds:StopDBInstance' : 'rds:StopDBInstance (and rds:CreateDBSnapshot)';
    return this.#on(target, 'stopping it', action, () => this.#client.send(command));
  }

  start(target: RdsTarget): Promise<void> {
    const { kind, id } = target;
    if (kind === 'cluster') {
      const command = new StartDBClusterCommand({ DBClusterIdentifier: id });
      return this.#on(target, 'starting it', 'rds:StartDBCluster', () => this.#client.send(command));
    }
    const command = new StartDBInstanceCommand({ DBInstanceIdentifier: id });
    return this.#on(target, 'starting it', 'rds:StartDBInstance', () => this.#client.send(command));
  }

  snapshotCluster(target: RdsTarget, snapshot: string, tags: Tags): Promise<void> {
    const command = new CreateDBClusterSnapshotCommand({
      DBClusterIdentifier: target.id,
      DBClusterSnapshotIdentifier: snapshot,
      Tags: tagList(tags),
    });
    return this.#on(target, 'taking a snapshot', 'rds:CreateDBClusterSnapshot', () => this.#client.send(command));
  }

  async describeSnapshot(target: RdsTarget, snapshot: string): Promise<RdsSnapshot | null> {
    const isCluster = target.kind === 'cluster';
    const action = isCluster ? 'rds:DescribeDBClusterSnapshots' : 'rds:DescribeDBSnapshots';
    const found: RdsSnapshot[] = [];
    // By the server, not by its own name: then one that is missing is no error.
    await this.#on(target, 'looking at its snapshots', action, async () => {
      const client = { client: this.#client };
      if (isCluster) {
        const pages = paginateDescribeDBClusterSnapshots(client, { DBClusterIdentifier: target.id });
        for await (const { DBClusterSnapshots = [] } of pages) {
          for (const { DBClusterSnapshotIdentifier: id = '', Status: status = '' } of DBClusterSnapshots)
            found.push({ id, status });
        }
      } else {
        const pages = paginateDescribeDBSnapshots(client, { DBInstanceIdentifier: target.id });
        for await (const { DBSnapshots = [] } of pages) {
          for (const { DBSnapshotIdentifier: id = '', Status: status = '' } of DBSnapshots) found.push({ id, status });
        }
      }
    });
    return found.find(({ id }) => id.toLowerCase() === snapshot.toLowerCase()) ?? null;
  }

  scale(target: RdsTarget, { min, max, pauseAfterS }: RdsScaling): Promise<void> {
    const command = new ModifyDBClusterCommand({
      DBClusterIdentifier: target.id,
      ServerlessV2ScalingConfiguration: {
        MinCapacity: min,
        MaxCapacity: max,
        ...(pauseAfterS !== null && { SecondsUntilAutoPause: pauseAfterS }),
      },
      ApplyImmediately: true,
    });
    return this.#on(target, 'setting its capacity', 'rds:ModifyDBCluster', () => this.#client.send(command));
  }

  tag(state: RdsState, tags: Tags): Promise<void> {
    const command = new AddTagsToResourceCommand({ ResourceName: state.arn, Tags: tagList(tags) });
    return this.#on(state, 'tagging it', 'rds:AddTagsToResource', () => this.#client.send(command));
  }

  untag(state: RdsState, keys: readonly string[]): Promise<void> {
    const command = new RemoveTagsFromResourceCommand({ ResourceName: state.arn, TagKeys: [...keys] });
    return this.#on(state, 'removing its tags', 'rds:RemoveTagsFromResource', () => this.#client.send(command));
  }

  close(): void {
    this.#client.destroy();
  }

  async #on({ kind, id }: RdsTarget, doing: string, action: string, work: () => Promise<unknown>): Promise<void> {
    await this.#named(doing, action, `${kind} ${id}`, work);
  }

  async #named<T>(doing: string, action: string, what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#error(error, doing, action, what);
    }
  }

  #error(error: unknown, doing: string, action: string, what: string): AwsError {
    return awsError(error, { what: `${what} (${this.region})`, doing, action }, rdsMeanings);
  }
}

/** Who a request was about: `instance a`, `37 instances`. */
function nameAll(kind: RdsTarget['kind'], ids: readonly string[]): string {
  return ids.length === 1 ? `${kind} ${ids[0]}` : `${ids.length} ${kind}s`;
}

function chunksOf(ids: readonly string[]): readonly (readonly string[])[] {
  return Array.from({ length: Math.ceil(ids.length / filterValues) }, (_, index) =>
    ids.slice(index * filterValues, (index + 1) * filterValues),
  );
}

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { account, clusterXml, instanceXml, type RdsDouble, respelled } from './rds-xml.ts';

interface SnapshotDouble {
  readonly id: string;
  readonly server: string;
  status: string;
  /** Looks until it is available. */
  looks: number;
}

export interface RdsServer {
  readonly url: string;
  readonly servers: Map<string, RdsDouble>;
  readonly snapshots: SnapshotDouble[];
  /** `StopDBInstance a`, in order; what only reads is without a name. */
  readonly calls: readonly string[];
  /** So many requests it still answers; all others are denied, as if the asking program had ended there. */
  lasts: number;
  /** Its clock: `AutomaticRestartTime` and the seven days go by it. */
  now: Date;
  add(kind: 'instance' | 'cluster', id: string, changes?: Partial<RdsDouble>): RdsDouble;
  /** Answers the next so many requests of that action in this way. */
  misbehave(action: string, times: number, status: number, code: string): void;
  /** All requests of that action are denied. */
  deny(action: string): void;
  /** So many days go by; AWS starts what it finds stopped for seven. */
  pass(days: number): void;
}

export interface RdsServerOptions {
  /** Looks that stopping and starting take. */
  readonly looks?: number;
  /** Of listings. */
  readonly pageSize?: number;
  /** Whether codes end in `Fault` where AWS's own do not, and the other way round. */
  readonly otherSpelling?: boolean;
  /** Manual snapshots that there may be. */
  readonly snapshotQuota?: number;
}

const dayMs = 86_400_000;

/** Speaks as much of the RDS query protocol as sleeping servers need. Lives until the test has ended. */
export async function startRdsServer(options: RdsServerOptions = {}): Promise<RdsServer> {
  const service = new Service(options);
  const server = createServer((request, response) => {
    service.answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const { port } = server.address() as AddressInfo;
  return Object.assign(service, { url: `http://127.0.0.1:${port}` });
}

/** What AWS answers in place of a result: its code as on the wire. */
class Fault extends Error {
  readonly status: number;
  readonly code: string;
  constructor(code: string, status = 400, message = `${code} it is`) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

type Params = URLSearchParams;

class Service {
  readonly servers = new Map<string, RdsDouble>();
  readonly snapshots: SnapshotDouble[] = [];
  readonly calls: string[] = [];
  lasts = Number.POSITIVE_INFINITY;
  now = new Date('2026-11-22T10:15:00Z');
  readonly #options: Required<RdsServerOptions>;
  readonly #mischiefs: { action: string; times: number; status: number; code: string }[] = [];
  readonly #denied = new Set<string>();

  constructor(options: RdsServerOptions) {
    this.#options = { looks: 2, pageSize: 100, otherSpelling: false, snapshotQuota: 100, ...options };
  }

  add(kind: 'instance' | 'cluster', id: string, changes: Partial<RdsDouble> = {}): RdsDouble {
    const server: RdsDouble = {
      ...{ kind, id, status: 'available', tags: new Map(), automaticRestartAt: null, clusterId: null },
      ...{ replicaOf: null, replicas: [], globalCluster: null, scaling: null, coming: [] },
      ...(kind === 'cluster'
        ? { engine: 'aurora-postgresql', engineMode: 'provisioned' }
        : { engine: 'postgres', engineMode: null }),
      ...changes,
    };
    this.servers.set(id, server);
    return server;
  }

  misbehave(action: string, times: number, status: number, code: string): void {
    this.#mischiefs.push({ action, times, status, code });
  }

  deny(action: string): void {
    this.#denied.add(action);
  }

  pass(days: number): void {
    this.now = new Date(this.now.getTime() + days * dayMs);
    for (const server of this.servers.values()) {
      const due = server.automaticRestartAt;
      if (server.status !== 'stopped' || due === null || due > this.now) continue;
      server.automaticRestartAt = null;
      this.#go(server, 'starting', 'available');
    }
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const params = new URLSearchParams(Buffer.concat(chunks).toString());
    const action = params.get('Action') ?? '';
    try {
      const body = this.#work(action, params);
      response.writeHead(200, { 'content-type': 'text/xml' });
      response.end(`<${action}Response><${action}Result>${body}</${action}Result></${action}Response>`);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const code = this.#options.otherSpelling ? respelled(error.code) : error.code;
      response.writeHead(error.status, { 'content-type': 'text/xml' });
      response.end(
        `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${error.message}</Message></Error></ErrorResponse>`,
      );
    }
  }

  #work(action: string, params: Params): string {
    const id = params.get('DBInstanceIdentifier') ?? params.get('DBClusterIdentifier');
    this.calls.push(id === null ? action : `${action} ${id}`);
    this.lasts -= 1;
    if (this.#denied.has(action) || this.lasts < 0) {
      const who = `arn:aws:iam::${account}:user/ci`;
      throw new Fault('AccessDenied', 403, `User: ${who} is not authorized to perform: rds:${action}`);
    }
    const mischief = this.#mischiefs.find((each) => each.action === action && each.times > 0);
    if (mischief !== undefined) {
      mischief.times -= 1;
      throw new Fault(mischief.code, mischief.status);
    }
    const work = this.#actions[action];
    if (work === undefined) throw new Fault('InvalidAction', 400);
    return work(params);
  }

  readonly #actions: Readonly<Record<string, (params: Params) => string>> = {
    DescribeDBInstances: (params) => this.#describe('instance', params),
    DescribeDBClusters: (params) => this.#describe('cluster', params),
    StopDBInstance: (params) => {
      const server = this.#require('instance', params);
      if (server.clusterId !== null) throw new Fault('InvalidDBClusterStateFault');
      if (server.replicaOf !== null || server.replicas.length > 0) throw new Fault('InvalidDBInstanceState');
      this.#mustBe(server, 'available');
      const snapshot = params.get('DBSnapshotIdentifier');
      if (snapshot !== null) this.#snapshot(server, snapshot, 'DBSnapshotAlreadyExists');
      this.#stop(server);
      return '';
    },
    StartDBInstance: (params) => this.#start(this.#require('instance', params)),
    StopDBCluster: (params) => {
      const server = this.#require('cluster', params);
      if (server.globalCluster !== null || server.engineMode === 'serverless') {
        throw new Fault('InvalidDBClusterStateFault');
      }
      this.#mustBe(server, 'available');
      this.#stop(server);
      return '';
    },
    StartDBCluster: (params) => this.#start(this.#require('cluster', params)),
    CreateDBClusterSnapshot: (params) => {
      const server = this.#require('cluster', params);
      this.#mustBe(server, 'available');
      this.#snapshot(server, params.get('DBClusterSnapshotIdentifier') ?? '', 'DBClusterSnapshotAlreadyExistsFault');
      this.#go(server, 'backing-up', 'available');
      return '';
    },
    DescribeDBSnapshots: (params) => this.#listSnapshots('DBSnapshot', params.get('DBInstanceIdentifier')),
    DescribeDBClusterSnapshots: (params) => {
      return this.#listSnapshots('DBClusterSnapshot', params.get('DBClusterIdentifier'));
    },
    ModifyDBCluster: (params) => {
      const server = this.#require('cluster', params);
      this.#mustBe(server, 'available');
      const key = 'ServerlessV2ScalingConfiguration';
      const pause = params.get(`${key}.SecondsUntilAutoPause`);
      server.scaling = {
        min: Number(params.get(`${key}.MinCapacity`)),
        max: Number(params.get(`${key}.MaxCapacity`)),
        pauseAfterS: pause === null ? null : Number(pause),
      };
      this.#go(server, 'modifying', 'available');
      return '';
    },
    AddTagsToResource: (params) => {
      const { tags } = this.#byArn(params);
      for (let n = 1; params.has(`Tags.Tag.${n}.Key`); n += 1) {
        tags.set(params.get(`Tags.Tag.${n}.Key`) ?? '', params.get(`Tags.Tag.${n}.Value`) ?? '');
      }
      return '';
    },
    RemoveTagsFromResource: (params) => {
      const { tags } = this.#byArn(params);
      for (let n = 1; params.has(`TagKeys.member.${n}`); n += 1) tags.delete(params.get(`TagKeys.member.${n}`) ?? '');
      return '';
    },
  };

  #describe(kind: RdsDouble['kind'], params: Params): string {
    const wanted = new Set<string>();
    for (let n = 1; params.has(`Filters.Filter.1.Values.Value.${n}`); n += 1) {
      wanted.add(params.get(`Filters.Filter.1.Values.Value.${n}`) ?? '');
    }
    const found = [...this.servers.values()].filter((server) => server.kind === kind && wanted.has(server.id));
    const first = Number(params.get('Marker') ?? 0);
    const page = found.slice(first, first + this.#options.pageSize);
    const next = first + page.length;
    const marker = next < found.length ? `<Marker>${next}</Marker>` : '';
    // Time goes by looks.
    const xml = page.map((server) => {
      const text = kind === 'instance' ? instanceXml(server) : clusterXml(server);
      this.#look(server);
      return text;
    });
    const list = kind === 'instance' ? 'DBInstances' : 'DBClusters';
    return `${marker}<${list}>${xml.join('')}</${list}>`;
  }

  #look(server: RdsDouble): void {
    const next = server.coming.shift();
    if (next === undefined) return;
    server.status = next;
    if (next === 'stopped') server.automaticRestartAt = new Date(this.now.getTime() + 7 * dayMs);
  }

  #go(server: RdsDouble, by: string, to: string): void {
    server.status = by;
    server.coming = [...Array.from({ length: this.#options.looks - 1 }, () => by), to];
  }

  #stop(server: RdsDouble): void {
    this.#go(server, 'stopping', 'stopped');
  }

  #start(server: RdsDouble): string {
    this.#mustBe(server, 'stopped', 'inaccessible-encryption-credentials-recoverable');
    server.automaticRestartAt = null;
    this.#go(server, 'starting', 'available');
    return '';
  }

  #snapshot(server: RdsDouble, id: string, exists: string): void {
    if (this.snapshots.some((snapshot) => snapshot.id === id)) throw new Fault(exists);
    if (this.snapshots.length >= this.#options.snapshotQuota) throw new Fault('SnapshotQuotaExceeded');
    this.snapshots.push({ id, server: server.id, status: 'creating', looks: this.#options.looks });
  }

  #listSnapshots(element: string, server: string | null): string {
    const xml = this.snapshots
      .filter((snapshot) => snapshot.server === server)
      .map((snapshot) => {
        snapshot.looks -= 1;
        if (snapshot.looks < 0 && snapshot.status === 'creating') snapshot.status = 'available';
        const { id, status } = snapshot;
        return `<${element}><${element}Identifier>${id}</${element}Identifier><Status>${status}</Status></${element}>`;
      });
    return `<${element}s>${xml.join('')}</${element}s>`;
  }

  #require(kind: RdsDouble['kind'], params: Params): RdsDouble {
    const server = this.servers.get(
      params.get(kind === 'instance' ? 'DBInstanceIdentifier' : 'DBClusterIdentifier') ?? '',
    );
    if (server?.kind === kind) return server;
    throw new Fault(kind === 'instance' ? 'DBInstanceNotFound' : 'DBClusterNotFoundFault', 404);
  }

  #mustBe({ kind, status }: RdsDouble, ...allowed: readonly string[]): void {
    if (allowed.includes(status)) return;
    throw new Fault(kind === 'instance' ? 'InvalidDBInstanceState' : 'InvalidDBClusterStateFault');
  }

  #byArn(params: Params): RdsDouble {
    const server = this.servers.get(params.get('ResourceName')?.split(':').at(-1) ?? '');
    if (server === undefined) throw new Fault('DBInstanceNotFound', 404);
    return server;
  }
}

import { resolve } from 'node:path';
import { InternalError } from '../../errors.ts';
import { parseDuration } from '../duration.ts';
import { parseShare } from '../share.ts';
import { buildBackups } from './backups.ts';
import type { RawInventory } from './file-schema.ts';
import { buildHibernate } from './hibernate.ts';
import { formatPosition, type Locate } from './mistakes.ts';
import { parseWave, type Rollout } from './rollout.ts';
import type {
  DiscoverEntry,
  Inventory,
  Limits,
  PasswordSource,
  ServerConfig,
  SessionTemplates,
  Timeouts,
} from './types.ts';

export interface InventorySource {
  /** As the operator wrote it. */
  readonly file: string;
  /** Absolute; what paths in the file are relative to. */
  readonly folder: string;
  readonly locate: Locate;
}

type Raw<K extends 'tenants' | 'discover' | 'servers' | 'shared'> = K extends 'servers'
  ? RawInventory['servers'][string]
  : NonNullable<RawInventory[Exclude<K, 'servers'>]>[number];

/** A checked file as the program wants it: defaults filled in, durations in milliseconds, paths absolute. */
export function buildInventory(raw: RawInventory, source: InventorySource): Inventory {
  const { file, folder, locate } = source;
  const at = (list: string, index: number): string => formatPosition(file, locate([list, index], 'value'));
  return {
    file,
    environment: raw.environment ?? 'default',
    migrations: raw.migrations === undefined ? null : resolve(folder, raw.migrations),
    searchPath: raw.searchPath ?? ['{schema}', 'public'],
    role: raw.role ?? null,
    state: stateFolder(raw.state, folder),
    limits: buildLimits(raw.limits),
    timeouts: buildTimeouts(raw.timeouts),
    rollout: buildRollout(raw.rollout),
    backups: buildBackups(raw.backups, folder),
    hibernate: buildHibernate(raw.hibernate),
    drift: { accepted: raw.drift?.accepted === undefined ? null : resolve(folder, raw.drift.accepted) },
    servers: new Map(Object.entries(raw.servers).map(([id, server]) => [id, buildServer(id, server, folder)])),
    shared: (raw.shared ?? []).map((entry) => ({ ...entry, migrations: resolve(folder, entry.migrations) })),
    tenants: (raw.tenants ?? []).map((entry, index) => ({
      id: entry.id,
      server: entry.server,
      database: entry.database,
      schema: entry.schema ?? null,
      labels: entry.labels ?? {},
      ...templatesOf(entry),
      at: at('tenants', index),
    })),
    discover: (raw.discover ?? []).map((entry, index) => buildDiscover(entry, at('discover', index))),
  };
}

/** Absolute path of the state folder. */
export function stateFolder(state: string | undefined, folder: string): string {
  return resolve(folder, state ?? './.tenantctl');
}

function templatesOf(entry: { searchPath?: string[] | undefined; role?: string | undefined }): SessionTemplates {
  return { searchPath: entry.searchPath ?? null, role: entry.role ?? null };
}

function buildLimits(limits: RawInventory['limits']): Limits {
  return {
    concurrency: limits?.concurrency ?? 16,
    perServer: limits?.perServer ?? 8,
    perDatabase: limits?.perDatabase ?? 4,
  };
}

function buildTimeouts(timeouts: RawInventory['timeouts']): Timeouts {
  return {
    connectMs: durationMs(timeouts?.connect ?? '10s'),
    lockMs: durationMs(timeouts?.lock ?? '2s'),
    statementMs: durationMs(timeouts?.statement ?? '15min'),
    indexBuildMs: durationMs(timeouts?.indexBuild ?? '2h'),
  };
}

function buildRollout(rollout: RawInventory['rollout']): Rollout {
  const share = (value: string | number | undefined) => (value === undefined ? null : parseShare(String(value)));
  return {
    canary: share(rollout?.canary),
    waves: (rollout?.waves ?? []).map((wave) => parseWave(String(wave))),
    soakMs: durationMs(rollout?.soak ?? '0s'),
    healthSql: rollout?.healthSql ?? null,
    healthCommand: rollout?.healthCommand ?? null,
    maxFailures: share(rollout?.maxFailures),
  };
}

function durationMs(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new InternalError(`a duration came through the checks: ${text}`);
  return ms;
}

function buildServer(id: string, server: Raw<'servers'>, folder: string): ServerConfig {
  const { perServer, perDatabase } = server.limits ?? {};
  const { instance, cluster, region, endpoint } = server.rds ?? {};
  return {
    id,
    url: server.url ?? null,
    replica: server.replica ?? null,
    password: server.password === undefined ? null : buildPassword(server.password, folder),
    limits: {
      ...(perServer === undefined ? {} : { perServer }),
      ...(perDatabase === undefined ? {} : { perDatabase }),
    },
    rds:
      server.rds === undefined
        ? null
        : {
            ...(instance === undefined ? {} : { instance }),
            ...(cluster === undefined ? {} : { cluster }),
            ...(region === undefined ? {} : { region }),
            ...(endpoint === undefined ? {} : { endpoint }),
          },
  };
}

function buildPassword(password: NonNullable<Raw<'servers'>['password']>, folder: string): PasswordSource {
  if (password.env !== undefined) return { env: password.env };
  if (password.file !== undefined) return { file: resolve(folder, password.file) };
  if (password.command !== undefined) return { command: password.command };
  if (password.awsSecret !== undefined) return { awsSecret: password.awsSecret };
  return { rdsIam: true };
}

function buildDiscover(entry: Raw<'discover'>, at: string): DiscoverEntry {
  const base = { server: entry.server, labels: entry.labels ?? {}, id: entry.id ?? null, ...templatesOf(entry), at };
  if (entry.databases !== undefined) return { ...base, kind: 'databases', pattern: entry.databases };
  if (entry.database === undefined) throw new InternalError(`${at}: a discover entry came through without a database`);
  if (entry.schemas !== undefined) {
    return { ...base, kind: 'schemas', database: entry.database, pattern: entry.schemas };
  }
  return { ...base, kind: 'query', database: entry.database, query: entry.query ?? '' };
}

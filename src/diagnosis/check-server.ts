import { quoteIdentifier } from '../postgres/identifiers.ts';
import type { ServerHealth } from '../postgres/server-health.ts';
import { majorOf, versionText } from '../postgres/server-version.ts';
import type { ConnectionSettings } from '../postgres/settings/connection-settings.ts';
import { describeConnection } from '../postgres/settings/describe.ts';
import { isLocalHost } from '../postgres/settings/local-host.ts';
import { type Finding, type FindingMaker, findingsAbout } from './finding.ts';

/** Oldest major that tenantctl speaks to. */
const oldestMajor = 12;

/** A server that answered, and what the inventory wants of it. */
export interface ServerUnderCheck {
  readonly id: string;
  readonly settings: ConnectionSettings;
  readonly health: ServerHealth;
  readonly isPooled: boolean;
  /** Connections that the inventory allows. */
  readonly perServer: number;
}

/** Everything that can be told from one session on a server. */
export function checkServer(server: ServerUnderCheck, now: Date): readonly Finding[] {
  const about = findingsAbout(`server ${server.id}`);
  const { settings, health, isPooled } = server;
  return [
    about.ok('reachable', `${describeConnection(settings)} answers`),
    checkVersion(health.versionNum, now, about),
    checkEncryption(server, about),
    isPooled
      ? about.info(
          'pooler',
          'a pooler in session mode stands in between',
          'a direct connection holds no place in the pool',
        )
      : about.ok('pooler', 'no pooler in between'),
    health.isStandby
      ? about.warning(
          'standby',
          'is a standby: it can be read, and nothing can be changed there',
          'name the primary, or all hosts with target_session_attrs=read-write',
        )
      : about.ok('standby', 'is a primary'),
    ...checkRole(health, about),
    checkHeadroom(server, about),
  ];
}

export function checkPasswordFile(id: string, settings: ConnectionSettings): readonly Finding[] {
  const about = findingsAbout(`server ${id}`);
  const fix = 'make the file readable for its owner alone: chmod 600';
  return settings.warnings.map((message) => about.warning('password-file', message, fix));
}

function checkVersion(versionNum: number, now: Date, about: FindingMaker): Finding {
  const major = majorOf(versionNum);
  const version = `PostgreSQL ${versionText(versionNum)}`;
  if (major < oldestMajor) {
    return about.error('version', `${version} is too old: ${oldestMajor} or newer is needed`, 'upgrade the server');
  }
  // The community ends a major in the November of its sixth year.
  const endYear = major + 2012;
  if (now.getTime() < Date.UTC(endYear, 10, 15)) return about.ok('version', version);
  return about.warning('version', `${version} gets no fixes since November ${endYear}`, 'upgrade the server');
}

function checkEncryption({ settings, health }: ServerUnderCheck, about: FindingMaker): Finding {
  const id = 'encryption';
  const remote = settings.hosts.filter((host) => !isLocalHost(host));
  if (remote.length === 0) return about.ok(id, 'the connection does not leave this machine');
  const fix = 'put sslmode=verify-full and sslrootcert=… into the url';
  if (!health.isEncrypted) return about.warning(id, 'the connection over the network is not encrypted', fix);
  if (settings.tls.verify === 'full') return about.ok(id, 'encrypted, and the certificate is checked');
  const checked = settings.tls.verify === 'ca' ? 'whose certificate it is is not checked' : 'no certificate is checked';
  return about.info(id, `encrypted, but ${checked}: someone in between could pretend to be the server`, fix);
}

function checkRole(health: ServerHealth, about: FindingMaker): readonly Finding[] {
  const { role, isSuperuser, canCreateDatabases, canCreateRoles, bypassesRls, readsAllData } = health;
  if (isSuperuser) return [about.ok('role', `logs in as ${role}, a superuser`)];
  const name = quoteIdentifier(role);
  const missing = (id: string, has: boolean, word: string, need: string, fix: string): Finding =>
    has ? about.ok(id, `${role} has ${word}`) : about.info(id, `${role} lacks ${word}: ${need}`, fix);
  return [
    about.ok('role', `logs in as ${role}`),
    missing(
      'create-databases',
      canCreateDatabases,
      'CREATEDB',
      'it cannot make databases for tenants',
      `ALTER ROLE ${name} CREATEDB`,
    ),
    missing(
      'create-roles',
      canCreateRoles,
      'CREATEROLE',
      'it cannot make roles for tenants',
      `ALTER ROLE ${name} CREATEROLE`,
    ),
    missing(
      'bypass-rls',
      bypassesRls,
      'BYPASSRLS',
      'dumps and checks fail on tables whose row-level security it is subject to',
      `ALTER ROLE ${name} BYPASSRLS`,
    ),
    ...(readsAllData === null
      ? []
      : [
          missing(
            'read-all-data',
            readsAllData,
            'pg_read_all_data',
            'it can dump only what its own roles may read',
            `GRANT pg_read_all_data TO ${name}`,
          ),
        ]),
  ];
}

function checkHeadroom({ health, perServer }: ServerUnderCheck, about: FindingMaker): Finding {
  const { maxConnections: max, reservedConnections: reserved, usedConnections: used } = health;
  const free = Math.max(0, max - reserved - used);
  const half = Math.floor(free / 2);
  const counts = `max_connections ${max}: ${reserved} reserved, ${used} used, ${free} free`;
  const id = 'connection-headroom';
  if (half >= perServer) return about.ok(id, `${counts}; half of them are enough for perServer ${perServer}`);
  const got = Math.max(1, half);
  return about.warning(
    id,
    `${counts}; a run gets at most half of them, so ${got} in place of perServer ${perServer}`,
    'free connections, raise max_connections, or lower limits.perServer',
  );
}

import type { Failure } from '../errors.ts';
import type { DatabaseHealth, SchemaAccess } from '../postgres/database-health.ts';
import { quoteIdentifier } from '../postgres/identifiers.ts';
import type { ServerHealth } from '../postgres/server-health.ts';
import { count, type Finding, type FindingMaker, findingsAbout, someOf } from './finding.ts';

/** One database with tenants in it, read. */
export interface ExaminedDatabase {
  readonly database: string;
  /** Tenants that are a schema here; 0: the database is one tenant's own. */
  readonly schemaTenants: number;
  readonly health: DatabaseHealth;
  /** Of a sample of its tenants. */
  readonly access: readonly SchemaAccess[];
}

export interface UnreadDatabase {
  readonly database: string;
  readonly failure: Failure;
}

export interface DatabasesUnderCheck {
  readonly server: string;
  readonly health: ServerHealth;
  readonly perDatabase: number;
  readonly examined: readonly ExaminedDatabase[];
  readonly unread: readonly UnreadDatabase[];
}

/** Schemas that a dump takes in one snapshot. */
const schemasPerDump = 200;
/** Autovacuum begins at a fifth of a table; this much more means that it does not keep up. */
const deadShare = 0.5;
const deadRows = 10_000;

/** What the databases of one server say together: one finding for each check, with examples. */
export function checkDatabases(server: DatabasesUnderCheck): readonly Finding[] {
  const about = findingsAbout(`server ${server.server}`);
  if (server.examined.length === 0) return unreadFindings(server.unread, about);
  return [
    ...unreadFindings(server.unread, about),
    ...checkAccess(server.examined, server.health.role, about),
    ...checkRowSecurity(server, about),
    checkLockTable(server, about),
    checkIndexes(server.examined, about),
    checkCatalogue(server.examined, about),
  ];
}

/** Databases that fail alike are one finding. */
function unreadFindings(unread: readonly UnreadDatabase[], about: FindingMaker): readonly Finding[] {
  const groups = Map.groupBy(unread, ({ failure }) => failure.sqlState ?? failure.code ?? failure.message);
  return [...groups.values()].map((group) => {
    const { failure } = group[0]!;
    const names = someOf(group.map(({ database }) => database));
    return about.error(
      'database-reachable',
      `${count(group.length, 'database')} cannot be read (${names}): ${failure.message}`,
      failure.hint ?? 'check the privileges of the login on these databases',
    );
  });
}

function checkAccess(examined: readonly ExaminedDatabase[], role: string, about: FindingMaker): readonly Finding[] {
  const login = quoteIdentifier(role);
  const closed = examined.filter(({ health }) => !health.canCreateSchemas).map(({ database }) => database);
  const sampled = examined.flatMap(({ database, access }) => access.map((each) => ({ ...each, database })));
  const place = (each: (typeof sampled)[number]) => `${each.database}/${each.schema}`;
  const missing = sampled.filter((each) => !each.schemaExists);
  const roleless = sampled.filter((each) => each.schemaExists && !(each.roleExists && each.canSetRole));
  const barred = sampled.filter((each) => each.schemaExists && each.roleExists && each.canSetRole && !each.canCreate);
  const findings = [
    ...(closed.length === 0
      ? []
      : [
          about.warning(
            'create-schemas',
            `${role} may not make schemas in ${count(closed.length, 'database')} (${someOf(closed)})`,
            `GRANT CREATE ON DATABASE ${quoteIdentifier(closed[0]!)} TO ${login}`,
          ),
        ]),
    ...(missing.length === 0
      ? []
      : [
          about.warning(
            'schema-missing',
            `${count(missing.length, 'tenant')} of those looked at have no schema (${someOf(missing.map(place))})`,
            'correct the inventory, or make the schemas',
          ),
        ]),
    ...(roleless.length === 0 ? [] : [roleFinding(roleless, login, about)]),
    ...(barred.length === 0
      ? []
      : [
          about.error(
            'create-tables',
            `nothing can be made in ${count(barred.length, 'schema')} of those looked at (${someOf(barred.map(place))})`,
            `GRANT USAGE, CREATE ON SCHEMA ${quoteIdentifier(barred[0]!.schema)} TO ${quoteIdentifier(barred[0]!.role ?? role)}`,
          ),
        ]),
  ];
  if (findings.length > 0) return findings;
  return [about.ok('create-tables', `objects can be made in the ${count(sampled.length, 'schema')} looked at`)];
}

function roleFinding(roleless: readonly SchemaAccess[], login: string, about: FindingMaker): Finding {
  const roles = [...new Set(roleless.map(({ role }) => role ?? ''))];
  const first = quoteIdentifier(roles[0] ?? '');
  const isMissing = !roleless[0]!.roleExists;
  return about.error(
    'tenant-role',
    `the login cannot take ${count(roles.length, 'role')} that the inventory names (${someOf(roles)})`,
    isMissing ? `correct \`role\` in the inventory, or CREATE ROLE ${first}` : `GRANT ${first} TO ${login}`,
  );
}

function checkRowSecurity({ examined, health }: DatabasesUnderCheck, about: FindingMaker): readonly Finding[] {
  const guarded = examined.filter((each) => each.health.guardedTables > 0);
  if (health.bypassesRls || guarded.length === 0) return [];
  const tables = guarded.reduce((sum, each) => sum + each.health.guardedTables, 0);
  return [
    about.warning(
      'row-security',
      `row-level security hides rows of ${count(tables, 'table')} from ${health.role} (${someOf(guarded.map(({ database }) => database))}): dumps of them fail`,
      `ALTER ROLE ${quoteIdentifier(health.role)} BYPASSRLS`,
    ),
  ];
}

/** The server's lock table is shared by all sessions; when it is full, whoever asks next fails with 53200. */
function checkLockTable({ examined, health, perDatabase }: DatabasesUnderCheck, about: FindingMaker): Finding {
  const { maxLocksPerTransaction: perTransaction, maxConnections, maxPreparedTransactions } = health;
  const transactions = maxConnections + maxPreparedTransactions;
  const slots = perTransaction * transactions;
  const needs = examined.flatMap(({ database, schemaTenants, health: { dumpedRelations, largestSchema } }) => {
    const inDump = Math.min(schemasPerDump, schemaTenants);
    return [
      schemaTenants === 0
        ? { locks: dumpedRelations, what: `a dump of database ${database}` }
        : {
            locks: Math.ceil((dumpedRelations / schemaTenants) * inDump),
            what: `a dump of ${count(inDump, 'schema')} of ${database}`,
          },
      {
        locks: largestSchema * perDatabase,
        what: `a migration of ${count(perDatabase, 'whole schema')} of ${database} at once`,
      },
    ];
  });
  const most = needs.reduce((a, b) => (b.locks > a.locks ? b : a));
  const size = `the lock table holds ${slots} locks (max_locks_per_transaction ${perTransaction})`;
  const need = `${most.what} takes about ${most.locks}`;
  if (most.locks * 2 <= slots) return about.ok('lock-table', `${size}; ${need}`);
  const wanted = Math.ceil((most.locks * 2) / transactions / 64) * 64;
  return about.warning(
    'lock-table',
    `${size}, and ${need}: it can run out (53200)`,
    `set max_locks_per_transaction to ${wanted} and restart the server`,
  );
}

function checkIndexes(examined: readonly ExaminedDatabase[], about: FindingMaker): Finding {
  const broken = examined.filter(({ health }) => health.invalidIndexes > 0);
  if (broken.length === 0) return about.ok('invalid-indexes', 'no invalid indexes');
  const total = broken.reduce((sum, { health }) => sum + health.invalidIndexes, 0);
  const examples = broken.flatMap(({ database, health }) =>
    health.invalidExamples.map((name) => `${database}: ${name}`),
  );
  const shown = examples.slice(0, 3).join(', ');
  return about.warning(
    'invalid-indexes',
    `${count(total, 'invalid index', 'invalid indexes')}, left by a CREATE INDEX CONCURRENTLY that failed (${shown}${total > 3 ? ', …' : ''})`,
    `in ${broken[0]!.database}: REINDEX INDEX CONCURRENTLY ${broken[0]!.health.invalidExamples[0]} (or drop it and migrate again)`,
  );
}

function checkCatalogue(examined: readonly ExaminedDatabase[], about: FindingMaker): Finding {
  const bloated = examined.flatMap(({ database, health }) =>
    health.catalogue
      .filter(({ live, dead }) => dead >= deadRows && dead > live * deadShare)
      .map(({ name, dead }) => ({ database, name, dead })),
  );
  if (bloated.length === 0) return about.ok('dead-catalogue-rows', 'the catalogues are vacuumed');
  const worst = bloated.reduce((a, b) => (b.dead > a.dead ? b : a));
  const tables = bloated.filter(({ database }) => database === worst.database).map(({ name }) => `pg_catalog.${name}`);
  return about.warning(
    'dead-catalogue-rows',
    `the catalogue of ${someOf([...new Set(bloated.map(({ database }) => database))])} is full of dead rows (${worst.name} of ${worst.database}: ${worst.dead})`,
    `in ${worst.database}: VACUUM (ANALYZE) ${tables.join(', ')}`,
  );
}

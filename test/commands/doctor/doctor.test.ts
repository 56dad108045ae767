import { realpathSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, inject, it, onTestFinished, vi } from 'vitest';
import type { Finding } from '../../../src/diagnosis/finding.ts';
import { packageRoot } from '../../../src/postgres/local/cache-folder.ts';
import { closedPort } from '../../support/closed-port.ts';
import { openFolder } from '../../support/folders.ts';
import { startOwnCluster } from '../../support/own-cluster.ts';
import { findPgBouncer, startPgBouncer } from '../../support/pgbouncer.ts';
import { type CliOptions, type CliResult, jsonOf, runCli, startCli } from '../../support/run-cli.ts';
import { startS3Server } from '../../support/s3-server.ts';

/** Small limits and no autovacuum, so that there is something to find. */
const server = await startOwnCluster({
  max_connections: 20,
  max_locks_per_transaction: 10,
  autovacuum: 'off',
  max_prepared_transactions: 5,
});
await server.query('postgres', `create role guarded login password 'right'; create role plain login; create role app`);
for (const database of ['saas', 'own_acme', 'sick']) await server.query('postgres', `create database ${database}`);
await server.query('saas', 'create schema tenant_a; create table tenant_a.t (id int); create schema tenant_b');
await server.query('own_acme', 'create table t (id int)');

interface Doctored extends CliResult {
  readonly checks: readonly Finding[];
  /** The finding of that id; fails when there is not exactly one. */
  readonly check: (id: string, subject?: string) => Finding;
}

async function doctor(yaml: string | null, options: CliOptions & { cwd?: string } = {}): Promise<Doctored> {
  const cwd = options.cwd ?? (await openFolder());
  if (yaml !== null) await writeFile(join(cwd, 'tenants.yaml'), yaml);
  const result = await runCli('doctor --json', { ...options, cwd });
  const { checks } = jsonOf<{ checks: readonly Finding[] }>(result);
  const check = (id: string, subject?: string) => {
    const found = checks.filter((each) => each.id === id && (subject ?? each.subject) === each.subject);
    if (found.length !== 1) throw new Error(`${found.length} findings ${id} in ${JSON.stringify(checks, null, 2)}`);
    return found[0]!;
  };
  return { ...result, checks, check };
}

/** An inventory of this file's server; `rest` adds tenants. */
function inventory(rest: string, login = 'postgres'): string {
  const url = `host=${server.socketDir} port=${server.port} user=${login} dbname=postgres`;
  return `version: 1\nservers:\n  main: { url: ${JSON.stringify(url)} }\n${rest}`;
}

const fleet = `discover:
  - { server: main, database: saas, schemas: "tenant_*" }
  - { server: main, databases: "own_*" }
`;

/** A checkout in a temporary folder is what doctor warns of. */
const isCheckoutTemporary = [tmpdir(), '/tmp', '/var/tmp'].some((each) => packageRoot.startsWith(realpathSync(each)));

/** In the checkout's ignored folder, where the others are temporary. */
async function lastingFolder(): Promise<string> {
  const cache = join(packageRoot, '.cache');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'doctor-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

const isTrouble = ({ level }: Finding) => level === 'warning' || level === 'error';

describe('doctor on a healthy fleet', () => {
  it('ends with 0, and every finding has its fix', async () => {
    const folder = await lastingFolder();
    await mkdir(join(folder, 'migrations'));
    const hasClient = inject('cluster').postgres.client !== null;
    const yaml = inventory(`migrations: ./migrations\nlimits: { perServer: 4, perDatabase: 2 }\n${fleet}`);
    const result = await doctor(yaml, { cwd: folder });
    const expected = [...(isCheckoutTemporary ? ['state-lasts'] : []), ...(hasClient ? [] : ['dump-programs'])];
    expect(result.checks.filter(isTrouble).map(({ id }) => id)).toEqual(expected);
    expect(result).toMatchObject({ exitCode: expected.length === 0 ? 0 : 1, stderr: '' });
    expect(result.check('node').message).toContain(process.versions.node);
    expect(result.check('tenants')).toMatchObject({ level: 'ok', message: '3 tenants in 2 databases' });
    expect(result.check('inventory')).toMatchObject({ level: 'ok', subject: 'inventory' });
    for (const id of ['reachable', 'version', 'encryption', 'pooler', 'standby', 'role', 'lock-table']) {
      expect(result.check(id)).toMatchObject({ level: 'ok', subject: 'server main' });
    }
    for (const each of result.checks) expect(each.fix === null).toBe(each.level === 'ok');
  });

  it('is told for people, by subject', async () => {
    const cwd = await openFolder();
    await writeFile(join(cwd, 'tenants.yaml'), inventory(fleet));
    const { stdout } = await runCli('doctor', { cwd });
    expect(stdout).toMatch(/^local\n {2}✓ Node\.js /);
    expect(stdout).toMatch(/^server main\n {2}✓ postgres:\/\/postgres@/m);
    // The test's folder is a temporary one.
    expect(stdout).toMatch(/^ {2}! the state folder lies under .*\n {6}fix: set `state`/m);
    expect(stdout).toMatch(/\n\d+ warnings?\n$/);
    const quiet = await runCli('doctor -q', { cwd });
    expect(quiet.exitCode).toBe(1);
    expect(quiet.stdout).toContain('! the state folder lies under');
    expect(quiet.stdout).not.toContain('✓');
  });
});

describe('doctor without a sound inventory', () => {
  it('checks the machine and points to init', async () => {
    const result = await doctor(null);
    expect(result).toMatchObject({ exitCode: 0, stderr: '' });
    expect(result.check('inventory-missing')).toMatchObject({
      level: 'info',
      fix: expect.stringContaining('tenantctl init'),
    });
  });

  it('names every mistake of the file', async () => {
    const result = await doctor('version: 2\nservers: { main: { ulr: x } }\n');
    expect(result).toMatchObject({ exitCode: 1, stderr: '' });
    const mistakes = result.checks.filter(({ id }) => id === 'inventory').map(({ message }) => message);
    expect(mistakes).toEqual([expect.stringMatching(/^tenants\.yaml:1:10 version/), expect.stringContaining('ulr')]);
  });

  it('is told that a named file is not there', async () => {
    const result = await runCli('doctor --config nowhere.yaml --json');
    expect(result.exitCode).toBe(1);
    expect(result.stdout).toContain('nowhere.yaml');
  });

  it('takes no words and no unknown flags', async () => {
    expect(await runCli('doctor main')).toMatchObject({ exitCode: 2, stdout: '' });
    expect(await runCli('doctor --all')).toMatchObject({ exitCode: 2, stdout: '' });
  });
});

describe('doctor looks at this machine', () => {
  it('warns of a CI job, and of folders that are not there or not folders', async () => {
    const folder = await lastingFolder();
    const yaml = 'version: 1\nmigrations: ./missing\nservers: { main: { password: { env: NOT_SET } } }\n';
    const inCi = await doctor(yaml, { cwd: folder, env: { CI: 'true' } });
    const reason = isCheckoutTemporary ? 'lies under' : 'CI job';
    expect(inCi.check('state-lasts')).toMatchObject({ level: 'warning', message: expect.stringContaining(reason) });
    expect(inCi.check('migrations')).toMatchObject({ level: 'error' });
    expect(inCi.check('settings')).toMatchObject({ level: 'error', message: expect.stringContaining('NOT_SET') });

    await writeFile(join(folder, 'file'), '');
    const onFile = await doctor(`${yaml}state: ./file/state\n`, { cwd: folder });
    expect(onFile.check('state-folder')).toMatchObject({
      level: 'error',
      message: expect.stringContaining('is a file'),
    });
  });

  it.skipIf(process.getuid?.() === 0)('tells when the state folder cannot be written', async () => {
    const result = await doctor('version: 1\nstate: /tenantctl-state\nservers: { main: {} }\n');
    expect(result.check('state-folder')).toMatchObject({ level: 'error' });
  });
});

describe('doctor and servers that do not answer', () => {
  it('makes each a finding, beside those that do', async () => {
    const socket = `host=${server.socketDir} port=${server.port}`;
    const down = `postgres://someone:hunter2@127.0.0.1:${await closedPort()}/postgres`;
    const result = await doctor(
      `version: 1
servers:
  down: { url: "${down}" }
  locked: { url: "${socket} user=guarded dbname=postgres", password: { env: LOCKED } }
  lost: { url: "${socket} user=postgres dbname=no_such_database" }
  up: { url: "${socket} user=postgres dbname=postgres" }
discover:
  - { server: down, databases: "x_*" }
  - { server: up, databases: "own_*" }
`,
      { env: { LOCKED: 'wr0ng' } },
    );
    expect(result).toMatchObject({ exitCode: 1, stderr: '' });
    const reachable = (id: string) => result.check('reachable', `server ${id}`);
    expect(reachable('down')).toMatchObject({ level: 'error', message: expect.stringContaining('ECONNREFUSED') });
    expect(reachable('locked')).toMatchObject({ level: 'error', fix: expect.stringContaining('password') });
    expect(reachable('lost')).toMatchObject({ level: 'error', message: expect.stringContaining('no_such_database') });
    expect(reachable('up')).toMatchObject({ level: 'ok' });
    expect(result.check('tenants', 'server up').message).toBe('1 tenant in 1 database');
    expect(result.check('inventory-password')).toMatchObject({ level: 'warning' });
    expect(result.stdout + result.stderr).not.toMatch(/hunter2|wr0ng/);
  });
});

describe('doctor finds what is wrong on a server', () => {
  it('too few connections and locks', async () => {
    await server.query(
      'saas',
      `do $$ begin for i in 1..100 loop execute format('create table tenant_b.t%s (id int)', i); end loop; end $$`,
    );
    onTestFinished(() => server.query('saas', 'drop schema tenant_b cascade; create schema tenant_b'));
    const result = await doctor(inventory(`limits: { perServer: 12 }\n${fleet}`));
    expect(result.check('connection-headroom')).toMatchObject({
      level: 'warning',
      message: expect.stringMatching(/^max_connections 20: 3 reserved, \d+ used, \d+ free; .* perServer 12$/),
    });
    // 100 tables, perDatabase 4 of them at once, against 10 x (20 + 5).
    expect(result.check('lock-table')).toMatchObject({
      level: 'warning',
      message: expect.stringContaining('holds 250 locks'),
      fix: 'set max_locks_per_transaction to 64 and restart the server',
    });
  });

  it('missing privileges, of the login and of the tenants’ roles', async () => {
    const result = await doctor(inventory(fleet, 'plain'));
    for (const id of ['create-databases', 'create-roles', 'bypass-rls', 'read-all-data']) {
      expect(result.check(id)).toMatchObject({ level: 'info', subject: 'server main' });
    }
    expect(result.check('read-all-data').fix).toBe('GRANT pg_read_all_data TO "plain"');
    expect(result.check('create-schemas')).toMatchObject({
      level: 'warning',
      message: expect.stringContaining('2 databases (own_acme and saas)'),
      fix: 'GRANT CREATE ON DATABASE "own_acme" TO "plain"',
    });
    expect(result.check('create-tables')).toMatchObject({
      level: 'error',
      message: expect.stringContaining('saas/tenant_a'),
    });

    const roles = await doctor(inventory(`role: app\n${fleet}`, 'plain'));
    expect(roles.check('tenant-role')).toMatchObject({ level: 'error', fix: 'GRANT "app" TO "plain"' });
    const nobody = await doctor(inventory(`role: "{schema}_owner"\n${fleet}`));
    expect(nobody.check('tenant-role').fix).toContain('CREATE ROLE "tenant_a_owner"');
  });

  it('row-level security, invalid indexes, dead catalogue rows and a schema that is gone', async () => {
    await server.query(
      'sick',
      `create schema tenant_x; grant usage, create on schema tenant_x to plain; grant create on database sick to plain;
       create table tenant_x.t (id int); insert into tenant_x.t values (1), (1);
       alter table tenant_x.t enable row level security`,
    );
    // A unique index on equal rows fails and is left behind, as it is in production.
    await server.query('sick', 'create unique index concurrently "T idx" on tenant_x.t (id)').catch(() => undefined);
    await server.query(
      'sick',
      `do $$ begin for i in 1..15 loop
         execute (select format('create table bloat (%s)', string_agg('c' || n || ' int', ', ')) from generate_series(1, 1500) n);
         drop table bloat;
       end loop; end $$`,
    );
    const tenants = `tenants:
  - { id: x, server: main, database: sick, schema: tenant_x }
  - { id: gone, server: main, database: sick, schema: tenant_gone }
  - { id: nowhere, server: main, database: no_such_database }
`;
    const result = await doctor(inventory(tenants, 'plain'));
    expect(result.exitCode).toBe(1);
    expect(result.check('row-security')).toMatchObject({ level: 'warning', fix: 'ALTER ROLE "plain" BYPASSRLS' });
    expect(result.check('invalid-indexes')).toMatchObject({
      level: 'warning',
      message: expect.stringContaining('1 invalid index,'),
      fix: expect.stringContaining('tenant_x."T idx"'),
    });
    expect(result.check('dead-catalogue-rows')).toMatchObject({
      level: 'warning',
      fix: expect.stringMatching(/^in sick: VACUUM \(ANALYZE\) .*pg_catalog\.pg_attribute/),
    });
    expect(result.check('schema-missing').message).toContain('sick/tenant_gone');
    expect(result.check('database-reachable').message).toContain('no_such_database');

    await server.query('sick', 'drop index tenant_x."T idx"');
    await server.query('sick', 'vacuum analyze');
    const healed = await doctor(inventory(tenants, 'plain'));
    expect(healed.check('invalid-indexes').level).toBe('ok');
    expect(healed.check('dead-catalogue-rows').level).toBe('ok');
  });

  it('databases put to sleep by an inventory with another url', async () => {
    await server.query(
      'saas',
      `create schema tenantctl;
      create table tenantctl.tenant (database text, schema text, tenant text, labels jsonb, state text, how text, run text,
        since timestamptz, step text, receipt jsonb);
      insert into tenantctl.tenant values ('t_x', '', 'x'), ('t_l', '', 'l'), ('saas', 'tenant_c', 'c')`,
    );
    try {
      expect((await doctor(inventory(fleet))).check('strayed-sleepers')).toMatchObject({
        level: 'warning',
        message: '2 tenants (l and x) put to sleep by way of database saas cannot be seen: the url names postgres',
      });
    } finally {
      await server.query('saas', 'drop schema tenantctl cascade');
    }
  });

  it('tenants that discovery cannot use', async () => {
    await server.query('saas', 'create schema "tenant_-x"');
    onTestFinished(() => server.query('saas', 'drop schema "tenant_-x"'));
    const result = await doctor(inventory(fleet));
    expect(result.check('unusable-tenants')).toMatchObject({
      level: 'warning',
      message: expect.stringContaining('-x'),
    });
  });
});

describe('doctor looks at the places of backups', () => {
  const withBackups = (backups: unknown, environment = 'test') =>
    `version: 1\nenvironment: ${environment}\nservers:\n  main: { url: "postgres://x@127.0.0.1:1/x" }\nbackups: ${JSON.stringify(backups)}\n`;
  const stores = ({ checks }: Doctored) => checks.filter(({ id }) => id === 'backup-store');

  it('a folder that is there, one that is still to be made, and files in the way', async () => {
    const cwd = await openFolder();
    await mkdir(join(cwd, 'backups'));
    const found = await doctor(withBackups({ to: './backups', copyTo: './later/copy' }), { cwd });
    expect(stores(found)).toMatchObject([
      { level: 'ok', message: `backups.to: ${join(cwd, 'backups')} can be reached` },
      { level: 'info', message: `backups.copyTo: ${join(cwd, 'later/copy')} is not there yet` },
    ]);
    const inTheWay = await doctor(withBackups({ to: './tenants.yaml/backups' }), { cwd });
    expect(stores(inTheWay)).toMatchObject([
      { level: 'error', message: `backups.to: ${join(cwd, 'tenants.yaml')} is a file` },
    ]);
    expect(await readdir(cwd)).toEqual(['backups', 'tenants.yaml']);
  });

  it('a store of another environment', async () => {
    const cwd = await openFolder();
    await mkdir(join(cwd, 'backups'));
    const mark = { schema: 'tenantctl-store/1', environment: 'production', createdAt: '2026-11-22T10:15:00Z' };
    await writeFile(join(cwd, 'backups', '_store.json'), JSON.stringify(mark));
    const found = await doctor(withBackups({ to: './backups' }, 'staging'), { cwd });
    expect(stores(found)).toMatchObject([
      { level: 'error', message: expect.stringContaining('keeps the backups of environment production') },
    ]);
  });

  it('a bucket that can be listed, and one that cannot', async () => {
    const s3 = await startS3Server();
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIATEST');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    onTestFinished(() => void vi.unstubAllEnvs());
    const to = { url: 's3://backups/eu', endpoint: s3.url, pathStyle: true };
    expect(stores(await doctor(withBackups({ to })))).toMatchObject([{ level: 'ok' }]);
    // One that may be read and not listed: what is in it is found by its name alone.
    const mark = { schema: 'tenantctl-store/1', environment: 'test', createdAt: '2026-11-22T10:15:00Z' };
    s3.objects.set('eu/_store.json', { bytes: Buffer.from(JSON.stringify(mark)), headers: {}, parts: 0 });
    s3.misbehave({ kind: 'answer', status: 403, code: 'AccessDenied' }, 100, /^GET .*list-type/);
    expect(stores(await doctor(withBackups({ to })))).toMatchObject([
      {
        level: 'error',
        message: expect.stringContaining('access denied'),
        fix: expect.stringContaining('s3:ListBucket'),
      },
    ]);
  });
});

describe('doctor takes TENANTCTL_PG_BIN for the place of the programs', () => {
  it('and no other, as dump does', async () => {
    const bin = await openFolder();
    const result = await doctor(inventory(fleet), { env: { TENANTCTL_PG_BIN: bin } });
    expect(result.check('pg-dump')).toMatchObject({
      level: 'error',
      message: `TENANTCTL_PG_BIN=${bin} has no pg_dump and pg_restore that run`,
    });
    expect(result.check('dump-programs').message).toMatch(/^no pg_dump \d+ or newer in TENANTCTL_PG_BIN/);
  });
});

it('doctor tells what it has seen when it is interrupted', async () => {
  const cwd = await openFolder();
  await writeFile(join(cwd, 'tenants.yaml'), inventory(fleet));
  let isFirst = true;
  const cli = startCli('doctor --json', {
    cwd,
    now: () => {
      if (isFirst) cli.signal('SIGTERM');
      isFirst = false;
      return new Date();
    },
  });
  const result = await cli.ended;
  expect(result.exitCode).toBe(143);
  const ids = jsonOf<{ checks: readonly Finding[] }>(result).checks.map(({ id }) => id);
  expect(ids).toContain('node');
  expect(ids).not.toContain('tenants');
});

const pgBouncer = await findPgBouncer();
if (pgBouncer === null) process.stderr.write('NOT TESTED: doctor before a pooler; install pgbouncer to test it\n');

it.skipIf(pgBouncer === null).each([
  ['transaction', 'error', false],
  ['session', 'info', true],
])('a pooler in %s mode is a finding: %s', async (mode, level, answers) => {
  const pooler = await startPgBouncer(pgBouncer!, [`pool_mode = ${mode}`]);
  try {
    const result = await doctor(`version: 1\nservers: { main: { url: ${JSON.stringify(pooler.url)} } }\n`);
    expect(result.exitCode).toBe(1);
    expect(result.check('pooler')).toMatchObject({ level, subject: 'server main' });
    expect(result.checks.some(({ id }) => id === 'reachable')).toBe(answers);
  } finally {
    await pooler.stop();
  }
});

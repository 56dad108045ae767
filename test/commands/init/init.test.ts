import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { closedPort } from '../../support/closed-port.ts';
import { openFolder } from '../../support/folders.ts';
import { startOwnCluster } from '../../support/own-cluster.ts';
import { jsonOf, runCli, startCli } from '../../support/run-cli.ts';

/** A server of its own: init looks at all of it. */
const server = await startOwnCluster();
await server.query('postgres', `create role guarded login password 's3cret word'`);
await server.query('postgres', 'create database saas');
for (const name of ['acme', 'globex', 'initech']) await server.query('postgres', `create database "shop_${name}"`);
await server.query(
  'saas',
  `create schema tenant_acme; create schema "tenant_o'hara"; create schema "tenant_ünïcode"; create schema "tenant_a""b";
   create schema audit; create schema billing`,
);
await server.query('shop_globex', 'create schema reports');

const url = server.url('postgres');

interface Report {
  readonly exitCode: number;
  readonly file: string | null;
  readonly text?: string;
  readonly tenants: number;
  readonly passwordEnv: string | null;
  readonly discover: readonly { kind: string; database?: string; pattern: string; id: string | null; found: number }[];
  readonly leftOut: readonly { database: string; schemas: readonly string[] | null; reason: string }[];
}

async function listed(cwd: string, env: Readonly<Record<string, string>> = {}): Promise<readonly string[]> {
  const result = await runCli(['tenants', 'list', '--all', '--json'], { cwd, env });
  expect(result.stderr).toBe('');
  expect(result.exitCode).toBe(0);
  return jsonOf<{ outcomes: { tenant: string }[] }>(result).outcomes.map(({ tenant }) => tenant);
}

const allIds = [
  'acme',
  'globex',
  'initech',
  ...['a"b', 'acme', "o'hara", 'ünïcode'].map((match) => `saas-${match}`),
].sort();

describe('init', () => {
  it('writes a file that loads and finds the tenants', async () => {
    const cwd = await openFolder();
    const result = await runCli(['init', '--url', url], { cwd });
    expect(result).toMatchObject({ exitCode: 0, stderr: '' });
    expect(result.stdout).toContain('found 4 schemas tenant_* in database saas: ');
    expect(result.stdout).toContain('found 3 databases shop_*: shop_acme, shop_globex and shop_initech\n');
    expect(result.stdout).toContain('left out schemas audit and billing in database saas: named like no other\n');
    expect(result.stdout).toContain('left out database postgres: ');
    expect(result.stdout).toContain('wrote tenants.yaml: 7 tenants on server main\n');
    expect(result.stdout).toContain('\n  tenantctl doctor\n');
    expect(await readdir(cwd)).toEqual(['tenants.yaml']);
    const text = await readFile(join(cwd, 'tenants.yaml'), 'utf8');
    expect(text).toMatch(/^environment: development$/m);
    expect(text).toMatch(/^migrations: \.\/migrations # not there yet/m);
    expect((await listed(cwd)).toSorted()).toEqual(allIds);
  });

  it('says the same as json', async () => {
    const result = await runCli(['init', '--url', url, '--stdout', '--json']);
    expect(result.exitCode).toBe(0);
    expect(jsonOf<Report>(result)).toMatchObject({
      file: null,
      text: expect.stringContaining('version: 1\n'),
      tenants: 7,
      passwordEnv: null,
      discover: [
        { kind: 'schemas', database: 'saas', pattern: 'tenant_*', id: '{database}-{match}', found: 4 },
        { kind: 'databases', pattern: 'shop_*', id: null, found: 3 },
      ],
      leftOut: [
        { database: 'postgres', schemas: null },
        { database: 'saas', schemas: ['audit', 'billing'], reason: 'named like no other' },
      ],
    });
  });

  it('takes patterns in place of guessing', async () => {
    const cwd = await openFolder();
    const argv = ['init', '--url', url, '--databases', 'shop_g*', '--schemas', 'bill*'];
    expect(await runCli(argv, { cwd })).toMatchObject({ exitCode: 0 });
    expect(await listed(cwd)).toEqual(['ing', 'lobex']);
  });

  it('takes the address from PG* variables, and the file then stands without them', async () => {
    const cwd = await openFolder();
    const env = { PGHOST: server.socketDir, PGPORT: String(server.port), PGUSER: server.user };
    expect(await runCli('init', { cwd, env })).toMatchObject({ exitCode: 0 });
    expect(await listed(cwd)).toHaveLength(7);
  });

  it('keeps a password out of the file and says where it goes', async () => {
    const cwd = await openFolder();
    const conninfo = `host=${server.socketDir} port=${server.port} user=guarded dbname=saas password='s3cret word'`;
    const result = await runCli(['init', '--url', conninfo, '--server-id', 'eu-1'], { cwd });
    expect(result).toMatchObject({ exitCode: 0, stderr: '' });
    expect(result.stdout).toContain('\n  export EU_1_DB_PASSWORD=…\n');
    const text = await readFile(join(cwd, 'tenants.yaml'), 'utf8');
    expect(text).toContain('password: { env: EU_1_DB_PASSWORD }');
    expect(text + result.stdout).not.toContain('s3cret');
    expect(await listed(cwd, { EU_1_DB_PASSWORD: 's3cret word' })).toHaveLength(7);
  });

  it('finds the migrations folder that is there', async () => {
    const cwd = await openFolder();
    await mkdir(join(cwd, 'db', 'migrations'), { recursive: true });
    await runCli(['init', '--url', url, '--environment', 'two words'], { cwd });
    const text = await readFile(join(cwd, 'tenants.yaml'), 'utf8');
    expect(text).toMatch(/^migrations: \.\/db\/migrations$/m);
    expect(text).toMatch(/^environment: "two words"$/m);
  });

  it('prints the file with --stdout, and nothing else there', async () => {
    const cwd = await openFolder();
    const result = await runCli(['init', '--url', url, '--stdout'], { cwd });
    expect(result.exitCode).toBe(0);
    expect(await readdir(cwd)).toEqual([]);
    expect(result.stderr).toContain('found 4 schemas');
    await writeFile(join(cwd, 'tenants.yaml'), result.stdout);
    expect(await listed(cwd)).toHaveLength(7);
  });

  it('writes where --config says', async () => {
    const cwd = await openFolder();
    const result = await runCli(['init', '--url', url, '--config', 'my fleet.yaml'], { cwd });
    expect(result.exitCode).toBe(0);
    expect(result.stdout).toContain("tenantctl doctor --config 'my fleet.yaml'");
    expect(await readdir(cwd)).toEqual(['my fleet.yaml']);
  });
});

it('writes nothing when it is interrupted', async () => {
  const cwd = await openFolder();
  const cli = startCli(['init', '--url', url], {
    cwd,
    now: () => {
      cli.signal('SIGINT');
      return new Date();
    },
  });
  expect(await cli.ended).toMatchObject({ exitCode: 130, stdout: 'interrupted: nothing was written\n' });
  expect(await readdir(cwd)).toEqual([]);
});

describe('init refuses', () => {
  it('to replace a file, unless --force', async () => {
    const cwd = await openFolder();
    await writeFile(join(cwd, 'tenants.yaml'), 'mine');
    const argv = ['init', '--url', url];
    const refused = await runCli(argv, { cwd });
    expect(refused).toMatchObject({ exitCode: 5, stdout: '' });
    expect(refused.stderr).toContain('tenants.yaml is there already');
    expect(await readFile(join(cwd, 'tenants.yaml'), 'utf8')).toBe('mine');

    expect(await runCli([...argv, '--force'], { cwd })).toMatchObject({ exitCode: 0 });
    expect(await readdir(cwd)).toEqual(['tenants.yaml']);
    expect(await listed(cwd)).toHaveLength(7);
  });

  it('to hide a tenants.yml', async () => {
    const cwd = await openFolder();
    await writeFile(join(cwd, 'tenants.yml'), 'mine');
    expect(await runCli(['init', '--url', url], { cwd })).toMatchObject({ exitCode: 5 });
  });

  it.each([
    ['a flag that does not exist', ['--tenants', 'x'], '--tenants'],
    ['a pattern without a wildcard', ['--schemas', 'tenant'], 'takes a pattern'],
    ['a server id that looks like a flag', ['--server-id=-x'], '--server-id'],
    ['--force with --stdout', ['--force', '--stdout'], 'exclude each other'],
    ['a word too many', ['postgres://db'], 'too many arguments'],
    ['a url that is none', ['--url', 'mysql://db'], 'connection string'],
  ])('%s', async (_, flags, message) => {
    const cwd = await openFolder();
    const result = await runCli(['init', ...flags], { cwd });
    expect(result).toMatchObject({ exitCode: 2, stdout: '' });
    expect(result.stderr).toContain(message);
    expect(await readdir(cwd)).toEqual([]);
  });

  it('a pattern that finds nobody, and says what was seen', async () => {
    const cwd = await openFolder();
    const result = await runCli(['init', '--url', url, '--schemas', 'nobody_*'], { cwd });
    expect(result).toMatchObject({ exitCode: 2, stdout: '' });
    expect(result.stderr).toContain('--schemas "nobody_*" matches none');
    expect(await readdir(cwd)).toEqual([]);
  });

  it('an environment that nobody could type', async () => {
    const cwd = await openFolder();
    const argv = ['init', '--url', url, '--environment', 'two\nlines'];
    expect(await runCli(argv, { cwd })).toMatchObject({ exitCode: 2, stdout: '' });
    expect(await readdir(cwd)).toEqual([]);
  });

  it('a folder that is not there', async () => {
    const cwd = await openFolder();
    const argv = ['init', '--url', url, '--config', 'missing/tenants.yaml'];
    const result = await runCli(argv, { cwd });
    expect(result).toMatchObject({ exitCode: 2, stdout: '' });
    expect(result.stderr).toContain('cannot write missing/tenants.yaml: ENOENT');
    expect(await readdir(cwd)).toEqual([]);
  });

  it('a server that is down, in one line with a hint', async () => {
    const cwd = await openFolder();
    const down = `postgres://someone:hunter2@127.0.0.1:${await closedPort()}/postgres`;
    const result = await runCli(['init', '--url', down], { cwd });
    expect(result).toMatchObject({ exitCode: 4, stdout: '' });
    expect(result.stderr).toMatch(
      /^error: cannot look at postgres:\/\/someone@127\.0\.0\.1:\d+\/postgres.*ECONNREFUSED/,
    );
    expect(result.stderr).toContain('hint: ');
    expect(result.stderr).not.toContain('hunter2');
    expect(await readdir(cwd)).toEqual([]);
  });

  it('a wrong password, and the hint is about passwords', async () => {
    const cwd = await openFolder();
    const conninfo = `host=${server.socketDir} port=${server.port} user=guarded dbname=saas password=wr0ng`;
    const result = await runCli(['init', '--url', conninfo], { cwd });
    expect(result).toMatchObject({ exitCode: 4, stdout: '' });
    expect(result.stderr).toContain('28P01');
    expect(result.stderr).toContain('hint: check user and password');
    expect(result.stderr).not.toContain('wr0ng');
    expect(await readdir(cwd)).toEqual([]);
  });

  it('a server that wants a password which nobody gave', async () => {
    const result = await runCli(['init', '--url', `host=${server.socketDir} port=${server.port} user=guarded`]);
    expect(result).toMatchObject({ exitCode: 4, stdout: '' });
    expect(result.stderr).toContain('none is known');
  });

  it('a database that does not exist', async () => {
    const cwd = await openFolder();
    const result = await runCli(['init', '--url', server.url('no_such_database')], { cwd });
    expect(result).toMatchObject({ exitCode: 4, stdout: '' });
    expect(result.stderr).toContain('3D000');
  });
});

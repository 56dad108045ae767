import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { startLocalScratch } from '../../../src/backups/scratch/local-scratch.ts';
import type { ScratchServer } from '../../../src/backups/scratch/scratch.ts';
import { openScratchServer, type ScratchAccess } from '../../../src/backups/scratch/scratch-server.ts';
import { connect } from '../../../src/postgres/connect.ts';
import { runProgram } from '../../../src/postgres/programs.ts';
import { resolveConnection } from '../../../src/postgres/settings/resolve-connection.ts';
import { asSuperuser, databaseUrl } from '../../support/database.ts';

let runs = 0;

function newRun(): string {
  runs += 1;
  return `2026-11-22T101500Z-${process.pid}x${runs}`;
}

const access: ScratchAccess = {
  settings: (database) =>
    resolveConnection({
      serverId: 'main',
      conninfo: databaseUrl(database),
      env: {},
      homeDir: '/nowhere',
      baseDir: '/',
      osUser: 'nobody',
      connectTimeoutMs: 10_000,
    }),
  connect: (database) => connect(access.settings(database), { applicationName: 'test' }),
};

function open(run: string): Promise<ScratchServer> {
  return openScratchServer({ name: 'main', isTemporary: false, access, database: 'postgres', run, env: {} });
}

async function databasesOf(run: string): Promise<readonly string[]> {
  return asSuperuser(async (admin) => {
    const { rows } = await admin.query('select datname from pg_database where datname like $1 order by 1', [
      `tenantctl\\_verify\\_${run}%`,
    ]);
    return rows.map(({ datname }) => datname as string);
  });
}

describe('a server of the inventory', () => {
  it('has databases for a run, each reached by sessions and programs, and none when it is closed', async () => {
    const run = newRun();
    const server = await open(run);
    const [one, other] = await Promise.all([server.createDatabase(), server.createDatabase()]);
    expect(await databasesOf(run)).toEqual([one.name, other.name]);
    const session = await one.connect();
    const { rows } = await session.raw('select current_database() as name');
    await session.end();
    expect(rows).toEqual([{ name: one.name }]);
    const tools = inject('cluster').postgres.client!;
    const signal = new AbortController().signal;
    const dump = await runProgram(tools, 'pg_dump', { args: ['-C', '--no-password'], env: other.env, signal });
    expect(dump).toContain(`CREATE DATABASE "${other.name}"`);
    await one.drop();
    expect(await databasesOf(run)).toEqual([other.name]);
    await server.close();
    expect(await databasesOf(run)).toEqual([]);
  });

  it('is freed of what a killed run left, but not of what a living one has or somebody looks at', async () => {
    const [killed, living, watched] = [newRun(), newRun(), newRun()];
    const make = async (run: string) => {
      const name = `tenantctl_verify_${run}_1`;
      await asSuperuser(async (admin) => {
        await admin.query(`create database "${name}" template template0`);
        await admin.query(`comment on database "${name}" is 'scratch database of tenantctl, run ${run}'`);
      });
      onTestFinished(() =>
        asSuperuser((admin) => admin.query(`drop database if exists "${name}" with (force)`)).then(() => {}),
      );
      return name;
    };
    await make(killed);
    const stranger = `tenantctl_verify_of_a_person_${process.pid}`;
    await asSuperuser((admin) => admin.query(`create database ${stranger}`));
    onTestFinished(() => asSuperuser((admin) => admin.query(`drop database ${stranger}`)).then(() => {}));
    const watching = await access.connect(await make(watched));
    const alive = await open(living);
    await alive.createDatabase();

    await (await open(newRun())).close();
    expect(await databasesOf(killed)).toEqual([]);
    expect(await databasesOf(living)).toHaveLength(1);
    expect(await databasesOf(watched)).toHaveLength(1);
    expect(await databasesOf('of_a_person')).toEqual([stranger]);
    await watching.end();
    await alive.close();
  });
});

describe('a cluster of our own', () => {
  it('is of the major version that is asked for, and gone when it is closed', async () => {
    const { major } = inject('cluster').postgres;
    const server = await startLocalScratch({ major, run: newRun(), env: process.env });
    expect(server).toMatchObject({ name: 'local', isTemporary: true });
    expect(server.major).toBeGreaterThanOrEqual(major);
    const database = await server.createDatabase();
    const session = await database.connect();
    await session.end();
    await server.close();
    await expect(database.connect()).rejects.toThrow();
  });

  it('is refused when this machine has none that is new enough', async () => {
    const started = startLocalScratch({ major: 99, run: newRun(), env: process.env });
    await expect(started).rejects.toMatchObject({
      name: 'RefusedError',
      hint: expect.stringContaining('postgresql-99'),
    });
  });
});

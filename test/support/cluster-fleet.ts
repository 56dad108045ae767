import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import type { LocalCluster } from '../../src/postgres/local/cluster.ts';
import { eventually } from './barrier.ts';
import { numbered } from './fleet.ts';

/** Where a session goes: any server that is on a socket. */
export type SocketAddress = Pick<LocalCluster, 'socketDir' | 'port' | 'user'>;

/** A session of a superuser, gone with the test. That it is lost is no error of the test. */
export async function connectTo({ socketDir: host, port, user }: SocketAddress, database = 'postgres') {
  const client = new pg.Client({ host, port, user, database, ssl: false, application_name: 'shop' });
  client.on('error', () => {});
  await client.connect();
  onTestFinished(() => client.end().catch(() => {}));
  return client;
}

/** Makes the schemas of tenants t01, t02, … anew in the cluster's own database, with a table each that is not empty. */
export async function makeTenants(cluster: SocketAddress, count: number): Promise<void> {
  const client = await connectTo(cluster);
  await client.query(`do $$ declare s text; begin
    for s in select nspname from pg_namespace where nspname like 'tenant\\_%' loop execute format('drop schema %I cascade', s); end loop;
  end $$`);
  for (const schema of numbered('tenant_t', count)) {
    await client.query(`create schema ${schema}; create table ${schema}.accounts (id int);
      create table ${schema}.zeta (id int); insert into ${schema}.accounts values (1), (2)`);
  }
}

/** A folder with an inventory of such tenants; backups go to a folder in it. */
export async function makeInventory(
  cluster: Pick<LocalCluster, 'url'>,
  count: number,
  server: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tenantctl-fleet-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'migrations'));
  const tenants = numbered('t', count).map((id) => ({
    id,
    server: 'main',
    database: 'postgres',
    schema: `tenant_${id}`,
  }));
  const inventory = {
    version: 1,
    environment: 'test',
    migrations: './migrations',
    backups: { to: './backups' },
    servers: { main: { url: cluster.url('postgres'), ...server } },
    tenants,
  };
  await writeFile(join(folder, 'tenants.yaml'), JSON.stringify(inventory));
  return folder;
}

/** Until a pg_dump waits for that table: it stands in the middle. Gives its process on the server. */
export async function dumpWaitsFor(server: SocketAddress, table: string): Promise<number> {
  // A transaction that holds a lock sees other sessions as they were when it first looked.
  const client = await connectTo(server);
  return eventually(`a dump waits for ${table}`, async () => {
    const { rows } = await client.query<{ pid: number }>(
      `select l.pid from pg_locks l join pg_stat_activity a using (pid)
        where not l.granted and l.relation = $1::regclass and a.application_name like 'tenantctl/%'`,
      [table],
    );
    return rows[0]?.pid ?? null;
  });
}

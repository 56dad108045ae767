// Run by a test as a program of its own: starts a cluster, says where, and waits to be killed.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresInstallation } from '../../src/postgres/local/binaries.ts';
import { startCluster } from '../../src/postgres/local/cluster.ts';

const postgres = JSON.parse(process.env.HOLD_CLUSTER ?? '') as PostgresInstallation;
const { socketDir } = await startCluster({ postgres, env: process.env });
const pid = Number((await readFile(join(socketDir, 'data', 'postmaster.pid'), 'utf8')).split('\n')[0]);
process.stdout.write(JSON.stringify({ pid, socketDir }));
setInterval(() => undefined, 1_000_000);

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, TLSSocket } from 'node:tls';
import { afterAll, expect, inject, test, vi } from 'vitest';
import { sql } from '../../src/postgres/sql.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession, pidOf } from '../support/sessions.ts';

const database = await createTestDatabase();
const folder = mkdtempSync(join(tmpdir(), 'tenantctl-session-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));
const certificate = makeCertificate();

function makeCertificate() {
  const args = ['req', '-x509', '-days', '2', '-subj', '/CN=db.test', '-nodes', '-newkey', 'ec'];
  const files = ['-pkeyopt', 'ec_paramgen_curve:prime256v1', '-keyout', 'key', '-out', 'certificate'];
  try {
    execFileSync('openssl', [...args, ...files], { cwd: folder, stdio: 'pipe' });
  } catch {
    process.stderr.write('tests: openssl is not installed: cancelling over TLS is not tested\n');
    return null;
  }
  return createSecureContext({
    key: readFileSync(join(folder, 'key')),
    cert: readFileSync(join(folder, 'certificate')),
  });
}

/** Speaks TLS in front of the run's server, and nothing else: what comes in plain is hung up on. */
async function startTlsDoor(): Promise<{ readonly port: number; readonly encrypted: () => number }> {
  const { socketDir, port } = inject('cluster');
  let encrypted = 0;
  const door = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (question: Buffer) => {
      const isTls = question.length === 8 && question.readInt32BE(4) === 80_877_103;
      if (!isTls || certificate === null) return void socket.destroy();
      socket.write('S');
      const inside = new TLSSocket(socket, { isServer: true, secureContext: certificate });
      const outside = connect(join(socketDir, `.s.PGSQL.${port}`));
      inside.on('secure', () => {
        encrypted += 1;
      });
      for (const end of [inside, outside]) end.on('error', () => {});
      inside.pipe(outside).pipe(inside);
    });
  });
  door.listen(0, '127.0.0.1');
  await once(door, 'listening');
  afterAll(() => void door.close());
  return { port: (door.address() as AddressInfo).port, encrypted: () => encrypted };
}

test.skipIf(certificate === null)('a statement is cancelled over TLS too', async () => {
  const door = await startTlsDoor();
  const session = await openSession(database.name, {
    host: '127.0.0.1',
    port: door.port,
    ssl: { rejectUnauthorized: false },
  });
  const pid = await pidOf(session);
  const failed = expect(session.query(sql`SELECT pg_catalog.pg_sleep(600)`)).rejects.toMatchObject({ code: '57014' });
  await vi.waitFor(async () => {
    const [row] = await database.query("select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'", [pid]);
    expect(row).toBeDefined();
  }, 10_000);
  await session.cancel();
  await failed;
  expect(door.encrypted()).toBe(2);
});

import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { restoreArchive } from '../../src/backups/restore-archive.ts';
import type { TenantError } from '../../src/errors.ts';
import { createTestDatabase } from '../support/database.ts';
import { runTool } from '../support/dumps.ts';

const source = await createTestDatabase();
const tools = inject('cluster').postgres.client!;
const signal = new AbortController().signal;
let folder = '';
let archive = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenantctl-restore-'));
  archive = join(folder, 'a.dump');
  await source.query(`create schema a;
    create table a.first as select i as id, md5(i::text) as filler from generate_series(1, 20000) i;
    create table a.second as select 1 as id;
    create table a.third as select i as id from generate_series(1, 3) i;`);
  await runTool('pg_dump', ['-Fc', '-n', 'a', '-f', archive, '-d', source.url]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function envOf(database: string): Record<string, string> {
  const { socketDir, port, user } = inject('cluster');
  return { PGHOST: socketDir, PGPORT: String(port), PGUSER: user, PGDATABASE: database };
}

async function restore(database: string, args: readonly string[] = [], from: Readable = createReadStream(archive)) {
  return restoreArchive({ archive: from, env: envOf(database), tools, args, signal });
}

async function failureOf(promise: Promise<unknown>): Promise<TenantError['failure']> {
  return promise.then(
    () => {
      throw new Error('it went well');
    },
    (error: TenantError) => error.failure ?? error,
  );
}

describe('restoreArchive', () => {
  it('restores what comes as a stream', async () => {
    const target = await createTestDatabase({ until: 'test' });
    expect(await restore(target.name)).toEqual({ stderr: '' });
    expect(await target.query('select count(*)::int as count from a.first')).toEqual([{ count: 20_000 }]);
  });

  it('passes over the data that is not wanted', async () => {
    const target = await createTestDatabase({ until: 'test' });
    await target.query('create schema a; create table a.third (id int)');
    await restore(target.name, ['--data-only', '--table=third']);
    expect(await target.query('select count(*)::int as count from a.third')).toEqual([{ count: 3 }]);
  });

  it('tells the first complaint of pg_restore, and stops there', async () => {
    const target = await createTestDatabase({ until: 'test' });
    await target.query('create schema a; create table a.second (id int)');
    const failure = await failureOf(restore(target.name));
    expect(failure).toMatchObject({ code: 'program', message: expect.stringContaining('schema "a" already exists') });
    expect(await target.query("select to_regclass('a.first') as made")).toEqual([{ made: null }]);
  });

  it('goes on where it is told to, and fails all the same', async () => {
    const target = await createTestDatabase({ until: 'test' });
    await target.query('create schema a');
    const from = createReadStream(archive);
    const options = { archive: from, env: envOf(target.name), tools, args: [], signal, keepsGoing: true };
    expect((await failureOf(restoreArchive(options))).message).toContain('schema "a" already exists');
    expect(await target.query('select count(*)::int as count from a.third')).toEqual([{ count: 3 }]);
  });

  it('tells what broke the stream, not what pg_restore then lacked', async () => {
    const target = await createTestDatabase({ until: 'test' });
    const broken = Readable.from(
      (async function* () {
        yield Buffer.from('PGDMP');
        throw new Error('the bucket is gone');
      })(),
      { objectMode: false },
    );
    await expect(restore(target.name, [], broken)).rejects.toThrow('the bucket is gone');
  });

  it('notices an archive that ends too early', async () => {
    const target = await createTestDatabase({ until: 'test' });
    const { message } = await failureOf(restore(target.name, [], createReadStream(archive, { end: 30_000 })));
    expect(message).toMatch(/^pg_restore: .*could not read/);
  });

  it('ends when it is told to, also while it waits for bytes', async () => {
    const target = await createTestDatabase({ until: 'test' });
    const abort = new AbortController();
    const endless = new PassThrough();
    endless.write(Buffer.from('PGDMP'));
    const running = restoreArchive({
      archive: endless,
      env: envOf(target.name),
      tools,
      args: [],
      signal: abort.signal,
    });
    abort.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    expect(endless.destroyed).toBe(true);
  });
});

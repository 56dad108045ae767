import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { openS3Store, type S3Patience } from '../../src/aws/s3-store.ts';
import { isRewritable } from '../../src/backups/repository/names.ts';
import { Repository } from '../../src/backups/repository/repository.ts';
import type { BackupStore } from '../../src/backups/repository/store.ts';
import type { Failure } from '../../src/errors.ts';
import type { BackupPlace } from '../../src/fleet/inventory/backups.ts';
import { closedPort } from '../support/closed-port.ts';
import { closedFolder } from '../support/folders.ts';
import { startS3Server } from '../support/s3-server.ts';
import { bytesOf, putBackup, readAll, tenant } from '../support/sample-backup.ts';

type S3Place = Extract<BackupPlace, { kind: 's3' }>;

const secret = 'wJalrXUtnFEMI-the-secret-key';
const quick: S3Patience = { connectMs: 1000, idleMs: 10_000, answerMs: 10_000, attempts: 3 };

beforeEach(() => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIATEST');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', secret);
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  return () => vi.unstubAllEnvs();
});

function placeAt(endpoint: string, changes: Partial<S3Place> = {}): S3Place {
  return {
    kind: 's3',
    bucket: 'backups',
    prefix: 'prod/eu',
    region: 'eu-west-1',
    endpoint,
    pathStyle: true,
    encryption: null,
    kmsKey: null,
    ...changes,
  };
}

function open(endpoint: string, changes: Partial<S3Place> = {}, patience = quick): Promise<BackupStore> {
  return openS3Store(placeAt(endpoint, changes), isRewritable, patience);
}

async function failureOf(work: Promise<unknown>): Promise<Failure> {
  const error = await work.then(
    () => null,
    (error: unknown) => error,
  );
  expect(error).toMatchObject({ name: 'TenantError', failure: { code: 'store' } });
  const { failure } = error as { failure: Failure };
  expect(JSON.stringify([failure, error])).not.toContain(secret);
  return failure;
}

async function keysOf(store: BackupStore, prefix: string): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

test('what is put is read again, below the prefix of the place', async () => {
  const server = await startS3Server();
  const store = await open(server.url);
  await store.put('acme/a.dump', bytesOf('an archive'));
  expect([...server.objects.keys()]).toEqual(['prod/eu/acme/a.dump']);
  expect((await readAll((await store.read('acme/a.dump'))!)).toString()).toBe('an archive');
  expect(await store.read('acme/b.dump')).toBeNull();
  expect(store.name).toBe('s3://backups/prod/eu');
});

test('encryption by the service is asked for, and a checksum goes with it', async () => {
  const server = await startS3Server();
  const store = await open(server.url, { encryption: 'aws:kms', kmsKey: 'alias/backups' });
  await store.put('a/a.dump', bytesOf('x'));
  expect(server.objects.get('prod/eu/a/a.dump')?.headers).toMatchObject({
    'x-amz-server-side-encryption': 'aws:kms',
    'x-amz-server-side-encryption-aws-kms-key-id': 'alias/backups',
    'x-amz-checksum-crc32': expect.any(String),
    'if-none-match': '*',
  });
});

test('a large file goes in parts, with the same encryption', async () => {
  const server = await startS3Server();
  const store = await open(server.url, { encryption: 'AES256' });
  const bytes = randomBytes(20 * 1024 * 1024 + 17);
  const path = join(await closedFolder(), 'spooled');
  await writeFile(path, bytes);
  await store.put('acme/big.dump', { kind: 'file', sizeBytes: bytes.length, path, isOurs: true });
  const { parts, headers, bytes: stored } = server.objects.get('prod/eu/acme/big.dump')!;
  expect([parts, stored.equals(bytes)]).toEqual([3, true]);
  expect(headers['x-amz-server-side-encryption']).toBe('AES256');
  expect(server.uploads.size).toBe(0);
  expect((await readAll((await store.read('acme/big.dump'))!)).equals(bytes)).toBe(true);
});

test('nothing is written over but what says something new of an archive', async () => {
  const server = await startS3Server();
  const store = await open(server.url);
  await store.put('acme/a.dump', bytesOf('first'));
  const { message } = await failureOf(store.put('acme/a.dump', bytesOf('second')));
  expect(message).toBe('s3://backups/prod/eu/acme/a.dump: writing: it is there already');
  expect(server.objects.get('prod/eu/acme/a.dump')?.bytes.toString()).toBe('first');
  await store.put('acme/a.pin.json', bytesOf('first'));
  await store.put('acme/a.pin.json', bytesOf('second'));
  expect(server.objects.get('prod/eu/acme/a.pin.json')?.bytes.toString()).toBe('second');
});

test('an answer that was lost is no other writer', async () => {
  const server = await startS3Server();
  const store = await open(server.url);
  server.misbehave({ kind: 'done-and-cut' }, 1);
  await store.put('acme/a.dump', bytesOf('first'));
  expect(server.requests.map(({ method }) => method)).toEqual(['PUT', 'PUT', 'HEAD']);
  const path = join(await closedFolder(), 'spooled');
  await writeFile(path, randomBytes(9 * 1024 * 1024));
  server.misbehave({ kind: 'done-and-cut' }, 1, /^POST .*uploadId=/);
  await store.put('acme/big.dump', { kind: 'file', sizeBytes: 9 * 1024 * 1024, path, isOurs: true });
  expect(server.objects.get('prod/eu/acme/big.dump')?.parts).toBe(2);
});

test('a service without conditions is written to without', async () => {
  const server = await startS3Server({ knowsConditions: false });
  const store = await open(server.url);
  await store.put('acme/a.dump', bytesOf('first'));
  await store.put('acme/b.dump', bytesOf('second'));
  expect([...server.objects.keys()]).toEqual(['prod/eu/acme/a.dump', 'prod/eu/acme/b.dump']);
});

test('listings are read to their end, and only below the prefix', async () => {
  const server = await startS3Server({ pageSize: 2 });
  const store = await open(server.url);
  for (const key of ['a/1', 'a/2', 'a/3', 'a/4', 'a/5', 'ab/1']) await store.put(key, bytesOf(key));
  server.objects.set('prod/europe/a/9', { bytes: Buffer.from(''), headers: {}, parts: 0 });
  expect(await keysOf(store, 'a/')).toEqual(['a/1', 'a/2', 'a/3', 'a/4', 'a/5']);
  expect(await keysOf(store, '')).toHaveLength(6);
  await store.remove(['a/1', 'a/5', 'not/there']);
  expect(await keysOf(store, 'a/')).toEqual(['a/2', 'a/3', 'a/4']);
});

test.each([
  ['once: it is tried again', 2, null],
  ['always: told, with how often it was tried', 100, 'the service answered 500 (InternalError) (tried 3 times)'],
])('a service that answers 500 %s', async (_name, times, problem) => {
  const server = await startS3Server();
  const store = await open(server.url);
  server.misbehave({ kind: 'answer', status: 500, code: 'InternalError' }, times);
  if (problem === null) await store.put('a/a.dump', bytesOf('x'));
  else expect((await failureOf(store.put('a/a.dump', bytesOf('x')))).message).toContain(problem);
  expect([...server.objects.keys()]).toEqual(problem === null ? ['prod/eu/a/a.dump'] : []);
});

test.each([
  ['silence', { idleMs: 100, answerMs: 600_000 }],
  ['no answer', { idleMs: 600_000, answerMs: 100 }],
])('a service that hangs ends in an error, for each kind of request: %s', async (_name, limit) => {
  const server = await startS3Server();
  const store = await open(server.url, {}, { ...quick, ...limit, attempts: 2 });
  server.misbehave({ kind: 'hang' }, 100);
  const path = join(await closedFolder(), 'spooled');
  await writeFile(path, 'spooled');
  const file = { kind: 'file', sizeBytes: 7, path, isOurs: true } as const;
  const work = [
    store.put('a/a', bytesOf('x')),
    store.put('a/b', file),
    store.read('a/a'),
    keysOf(store, ''),
    store.remove(['a']),
  ];
  for (const failure of await Promise.all(work.map(failureOf))) {
    expect(failure.message).toMatch(/^s3:\/\/backups\/prod\/eu.*: no answer in time \(tried 2 times\)$/);
  }
});

test('a connection that ends in the middle of a file is no end of the file', async () => {
  const server = await startS3Server();
  const store = await open(server.url);
  await store.put('a/a.dump', bytesOf(randomBytes(100_000)));
  server.misbehave({ kind: 'half' }, 100, /^GET/);
  const { message } = await failureOf(store.read('a/a.dump').then((stream) => readAll(stream!)));
  expect(message).toMatch(/^s3:\/\/backups\/prod\/eu\/a\/a\.dump: reading: /);
});

test('an upload in parts that fails leaves nothing; what could not be taken back is removed later', async () => {
  const server = await startS3Server();
  const store = await open(server.url, {}, { ...quick, attempts: 1 });
  const path = join(await closedFolder(), 'spooled');
  await writeFile(path, randomBytes(17 * 1024 * 1024));
  const file = { kind: 'file', sizeBytes: 17 * 1024 * 1024, path, isOurs: true } as const;
  server.misbehave({ kind: 'answer', status: 400, code: 'BadDigest' }, 1, /partNumber=2/);
  await failureOf(store.put('a/a.dump', file));
  expect([server.objects.size, server.uploads.size]).toEqual([0, 0]);
  server.misbehave({ kind: 'answer', status: 503, code: 'SlowDown' }, 100, /uploadId=/);
  await failureOf(store.put('a/a.dump', file));
  server.misbehave({ kind: 'hang' }, 0);
  expect([server.objects.size, server.uploads.size]).toEqual([0, 1]);
  expect(await store.removeLeftovers(new Date('2026-11-22T10:00:00Z'))).toEqual([]);
  expect(await store.removeLeftovers(new Date('2026-11-23T10:00:00Z'))).toEqual(['a/a.dump']);
  expect(server.uploads.size).toBe(0);
});

test('an upload that is stopped ends as stopped, and leaves nothing', async () => {
  const server = await startS3Server();
  const store = await open(server.url, {}, { ...quick, idleMs: 20_000, answerMs: 20_000 });
  server.misbehave({ kind: 'hang' }, 100);
  const stop = new AbortController();
  const put = store.put('a/a.dump', bytesOf('x'), stop.signal);
  await vi.waitFor(() => expect(server.requests).toHaveLength(1));
  stop.abort();
  await expect(put).rejects.toThrow(stop.signal.reason);
  expect(server.objects.size).toBe(0);
});

test.each([
  [403, 'AccessDenied', 'access denied', 's3:PutObject'],
  [404, 'NoSuchBucket', 'there is no such bucket', 'make the bucket'],
  [403, 'InvalidAccessKeyId', 'the access key is not known there', 'AWS_PROFILE'],
  [403, 'SignatureDoesNotMatch', 'the secret key does not fit the access key', 'AWS_PROFILE'],
  [400, 'ExpiredToken', 'the credentials have expired', 'log in again'],
  [418, 'Teapot', 'the service answered 418: Teapot it is (Teapot)', undefined],
])('%s %s is told in words', async (status, code, meaning, hint) => {
  const server = await startS3Server();
  const store = await open(server.url, {}, { ...quick, attempts: 1 });
  server.misbehave({ kind: 'answer', status, code }, 100);
  for (const failure of await Promise.all([store.put('a/a', bytesOf('x')), keysOf(store, '')].map(failureOf))) {
    expect(failure.message).toContain(meaning);
    expect(failure.hint ?? '').toContain(hint ?? '');
  }
});

test('no credentials, and nobody there, are told in words', async () => {
  const port = await closedPort();
  const store = await open(`http://127.0.0.1:${port}`, {}, { ...quick, attempts: 1 });
  expect((await failureOf(keysOf(store, ''))).message).toContain('it cannot be reached (ECONNREFUSED)');
  vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', undefined);
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nowhere');
  vi.stubEnv('AWS_CONFIG_FILE', '/nowhere');
  const failure = await failureOf(keysOf(await open('http://127.0.0.1:1'), ''));
  expect(failure).toMatchObject({
    message: 's3://backups/prod/eu: listing: no credentials were found',
    hint: expect.stringContaining('AWS_ACCESS_KEY_ID'),
  });
});

test('a bucket without a region is a usage error, but for other services', async () => {
  vi.stubEnv('AWS_CONFIG_FILE', '/nowhere');
  vi.stubEnv('AWS_REGION', undefined);
  vi.stubEnv('AWS_DEFAULT_REGION', undefined);
  const place = { ...placeAt(''), region: null, endpoint: null };
  await expect(openS3Store(place, isRewritable)).rejects.toMatchObject({ name: 'UsageError' });
  const server = await startS3Server();
  const store = await open(server.url, { region: null });
  expect(await keysOf(store, '')).toEqual([]);
});

test('a repository in a bucket: one listing, and what has no manifest is no backup', async () => {
  const server = await startS3Server({ pageSize: 3 });
  const options = { copy: null, recipients: [], identities: null, now: () => new Date() };
  const repository = new Repository({ store: await open(server.url), ...options });
  await putBackup(repository, tenant('acme'), '2026-11-22T10:15:00.123Z');
  await putBackup(repository, tenant('acme'), '2026-11-23T10:15:00.123Z');
  await repository.putArchive(tenant('acme'), '2026-11-24T101500.123Z', bytesOf('half'));
  const before = server.requests.length;
  const names = await repository.listBackups({ tenants: ['acme'], withManifests: false });
  expect(names.map(({ time, state }) => [time.slice(0, 10), state])).toEqual([
    ['2026-11-24', 'no-manifest'],
    ['2026-11-23', 'complete'],
    ['2026-11-22', 'complete'],
  ]);
  expect(server.requests.slice(before).every(({ path }) => path.includes('list-type=2'))).toBe(true);
  const whole = await repository.listBackups();
  expect(whole.map(({ state }) => state)).toEqual(['no-manifest', 'complete', 'complete']);
  await repository.removeBackups(whole);
  expect(server.objects.size).toBe(0);
});

import { beforeEach, expect, test, vi } from 'vitest';
import { eventually } from '../support/barrier.ts';
import { createFleet, readReport, type TestFleet } from '../support/fleet.ts';
import { jsonOf } from '../support/run-cli.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';
import { type ListedBackup, soundBackups } from '../support/sound-store.ts';

beforeEach(() => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIATEST');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  return () => vi.unstubAllEnvs();
});

const count = 20;
const forEver = Number.POSITIVE_INFINITY;
const serverError = { kind: 'answer', status: 500, code: 'InternalError' } as const;

const fleet = await createFleet({ until: 'file', schemas: count });
for (let tenant = 1; tenant <= count; tenant += 1) {
  const schema = `tenant_t${String(tenant).padStart(2, '0')}`;
  await fleet.db.query(`create table ${schema}.things (id int); insert into ${schema}.things values (1)`);
}

function bucketAt({ url }: S3Server) {
  return { url: 's3://backups/prod', endpoint: url, region: 'eu-west-1', pathStyle: true };
}

async function startBucket(): Promise<S3Server> {
  const server = await startS3Server();
  await fleet.writeInventory({ backups: { to: bucketAt(server) } });
  return server;
}

/** Keys that are manifests without their archive, or archives without their manifest. */
function halves({ objects }: S3Server): readonly string[] {
  const keys = [...objects.keys()].filter((key) => !key.endsWith('/_store.json'));
  const bases = new Map<string, string[]>();
  for (const key of keys) {
    const base = key.replace(/\.(?:json|dump|sql)$/, '');
    bases.set(base, [...(bases.get(base) ?? []), key]);
  }
  return [...bases.values()].filter(({ length }) => length !== 2).flat();
}

async function listed({ run }: TestFleet): Promise<readonly ListedBackup[]> {
  return jsonOf<{ backups: readonly ListedBackup[] }>(await run('backups list --all --allow-empty --json')).backups;
}

test('a service that fails for a moment is asked again', async () => {
  const server = await startBucket();
  server.misbehave(serverError, 3);
  const report = await fleet.json('dump -t t01 t02');
  expect([report.exitCode, report.summary, halves(server)]).toEqual([0, 't01 done, t02 done', []]);
});

test.each([
  ['answers 500', serverError],
  ['ends connections in the middle of an upload', { kind: 'cut' }],
] as const)(
  'a service that %s all the time: no storm, nothing half, and the next run finishes',
  async (_, mischief) => {
    const server = await startBucket();
    server.misbehave(mischief, forEver, /^PUT/);
    const report = await fleet.json('dump --all');
    expect([report.exitCode, report.totals]).toMatchObject([4, { failed: count }]);
    expect(report.of('t01').error).toMatchObject({
      code: 'store',
      message: expect.stringContaining('s3://backups/prod/'),
    });
    // Each is sent four times; after eight archives no other is tried but those that are on their way. And the roles.
    expect(server.requests.filter(({ method }) => method === 'PUT').length).toBeLessThanOrEqual(4 * (8 + 3 + 1));
    expect([server.objects.size, server.uploads.size]).toEqual([0, 0]);

    server.misbehave(mischief, 0);
    const again = await fleet.json('dump --all');
    expect([again.exitCode, again.totals.done, halves(server)]).toEqual([0, count, []]);
  },
);

test.each([
  ['archive', /^PUT .*\/t02\/.*\.dump/],
  ['manifest', /^PUT .*\/t02\/.*\.json/],
])('one %s that cannot be written costs its own tenant alone', async (_, which) => {
  const server = await startBucket();
  server.misbehave(serverError, forEver, which);
  const report = await fleet.json('dump -t t01 t02 t03 t04');
  expect([report.exitCode, report.summary]).toEqual([3, 't01 done, t02 failed, t03 done, t04 done']);
  expect(report.of('t02').error).toMatchObject({ code: 'store', message: expect.stringContaining('answered 500') });
  expect(report.of('t01').value).toMatchObject({ batch: 4 });
  expect(halves(server)).toEqual([]);
  expect((await listed(fleet)).map(({ state }) => state)).toEqual(['complete', 'complete', 'complete']);
});

test('a manifest whose answer was lost is there all the same', async () => {
  const server = await startBucket();
  server.misbehave({ kind: 'done-and-cut' }, 2, /^PUT .*Z\.json/);
  const report = await fleet.json('dump -t t01 t02');
  expect([report.exitCode, report.summary, halves(server)]).toEqual([0, 't01 done, t02 done', []]);
});

test.each([
  ['archive', /^PUT .*\/t0\d\/.*\.dump/],
  ['manifest', /^PUT .*\/t0\d\/.*\.json/],
])('a service that hangs with the %s is left by the second Ctrl-C', async (_, which) => {
  const server = await startBucket();
  server.misbehave({ kind: 'hang' }, forEver, which);
  const running = fleet.start('dump -t t01 t02 --json');
  await eventually('the service hangs', async () => {
    return server.requests.some(({ method, path }) => which.test(`${method} ${path}`)) ? true : null;
  });
  running.signal('SIGINT');
  running.signal('SIGINT');
  const report = readReport(await running.ended);
  expect([report.exitCode, report.summary]).toEqual([130, 't01 interrupted, t02 interrupted']);
  expect(halves(server).filter((key) => key.endsWith('.json'))).toEqual([]);
});

test.each([
  ['all', /^PUT .*\/t0[23]\//],
  ['manifests', /^PUT .*\/t0[23]\/.*\.json/],
])(
  'a second place that fails for %s: the backup in the first one is good, and the report says so',
  async (what, which) => {
    const server = await startS3Server();
    await fleet.writeInventory({ backups: { to: './backups', copyTo: bucketAt(server) } });
    server.misbehave(serverError, forEver, which);
    const report = await fleet.json('dump -t t01 t02 t03');
    expect([report.exitCode, report.summary]).toEqual([3, 't01 done, t02 failed, t03 failed']);
    expect(report.of('t02').error).toMatchObject({
      code: 'copy-failed',
      message: expect.stringMatching(/it is in .*backups, but not in its second place: .* answered 500/),
    });
    const backups = (await listed(fleet)).filter(({ manifest }) => manifest === null || manifest.run === report.run);
    expect(backups.map(({ tenant, state }) => [tenant, state])).toEqual(
      ['t01', 't02', 't03'].map((tenant) => [tenant, 'complete']),
    );
    await soundBackups(fleet);
    // A copied archive stays although its manifest did not come: whoever copies the rest by hand needs it.
    expect(halves(server)).toHaveLength(what === 'all' ? 0 : 2);
    server.misbehave(serverError, 0);
    const again = await fleet.json('dump -t t01 t02 t03');
    expect([again.exitCode, again.totals.done]).toEqual([0, 3]);
  },
);

import { expect, test, vi } from 'vitest';
import { AwsPasswords } from '../../src/aws/passwords.ts';
import type { Failure } from '../../src/errors.ts';
import { awsSecretKey, withAwsCredentials } from '../support/aws-credentials.ts';
import { startSecretsServer } from '../support/secrets-server.ts';

withAwsCredentials();

const login = { serverId: 'main', host: 'saas.abc.eu-central-1.rds.amazonaws.com', port: 5432, user: 'ops' };
const make = (endpoint: string | null = null, region: string | null = null) =>
  new AwsPasswords({ profile: null, endpoint, regionOf: () => region });

async function failureOf(work: Promise<unknown>): Promise<Failure> {
  const error = await work.then(
    () => null,
    (error: unknown) => error,
  );
  expect(error).toMatchObject({ name: 'TenantError' });
  const { failure } = error as { failure: Failure };
  expect(JSON.stringify([failure, error])).not.toContain(awsSecretKey);
  return failure;
}

test.each([
  ['the whole of it', 'hunter2', 'hunter2'],
  ['as a file has it', 'hunter2\n', 'hunter2'],
  ['as RDS writes it', '{"username":"ops","password":"hunter{2"}', 'hunter{2'],
  ['with a brace', '{hunter2', '{hunter2'],
  ['binary', new TextEncoder().encode('hunter2'), 'hunter2'],
])('a secret: %s', async (_name, kept, expected) => {
  const server = await startSecretsServer();
  server.secrets.set('prod/db', kept);
  expect(await make(server.url).readSecret('prod/db', login)).toBe(expected);
});

test('the region is that of the ARN, then of the inventory, then of the host', async () => {
  const server = await startSecretsServer();
  const arn = 'arn:aws:secretsmanager:us-east-2:123456789012:secret:rds-x';
  for (const id of [arn, 'name']) server.secrets.set(id, 'pw');
  await make(server.url, 'eu-north-1').readSecret(arn, login);
  await make(server.url, 'eu-north-1').readSecret('name', login);
  await make(server.url).readSecret('name', login);
  await make(server.url).readSecret('name', { ...login, host: 'db.internal' });
  expect(server.asked.map(({ region }) => region)).toEqual(['us-east-2', 'eu-north-1', 'eu-central-1', 'eu-west-1']);
});

test('what goes wrong names server, secret and IAM action', async () => {
  const server = await startSecretsServer();
  const passwords = make(server.url);
  expect(await failureOf(passwords.readSecret('nowhere', login))).toMatchObject({
    message: 'server main: secret nowhere (eu-central-1): reading it: there is no such secret in this region',
  });
  server.fault = 'AccessDeniedException';
  expect(await failureOf(passwords.readSecret('prod/db', login))).toMatchObject({
    message: expect.stringContaining('the IAM action secretsmanager:GetSecretValue is missing'),
    hint: expect.stringContaining('docs/aws.md'),
  });
  server.fault = null;
  server.secrets.set('prod/db', '{"user":"ops"}');
  const failure = await failureOf(passwords.readSecret('prod/db', login));
  expect(failure).toMatchObject({ message: expect.stringContaining('it holds no password') });
});

test('a token names host, user and action, and is another each time', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-11-22T10:15:00Z') });
  try {
    const passwords = make();
    const token = await passwords.makeToken(login);
    const url = new URL(`https://${token}`);
    expect(url.host).toBe(`${login.host}:5432`);
    expect(url.searchParams.get('Action')).toBe('connect');
    expect(url.searchParams.get('DBUser')).toBe('ops');
    expect(url.searchParams.get('X-Amz-Expires')).toBe('900');
    expect(url.searchParams.get('X-Amz-Credential')).toContain('/eu-central-1/rds-db/');
    vi.setSystemTime(new Date('2026-11-22T10:16:00Z'));
    expect(await passwords.makeToken(login)).not.toBe(token);
  } finally {
    vi.useRealTimers();
  }
});

test('without credentials it says how to give them', async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', undefined);
  expect(await failureOf(make().makeToken(login))).toMatchObject({
    message: 'server main: IAM token of user ops: signing it: no credentials were found',
    hint: expect.stringContaining('AWS_PROFILE'),
  });
});

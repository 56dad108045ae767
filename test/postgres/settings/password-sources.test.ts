import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { TenantError, UsageError } from '../../../src/errors.ts';
import { PasswordCache, type PasswordSource } from '../../../src/postgres/settings/password-sources.ts';

const folder = mkdtempSync(join(tmpdir(), 'tenantctl-password-'));
afterAll(() => rmSync(folder, { recursive: true }));

const env = { ...process.env, MAIN_PASSWORD: 'from env', EMPTY: '' };
const make = (over: Partial<ConstructorParameters<typeof PasswordCache>[0]> = {}) =>
  new PasswordCache({ env, baseDir: folder, ...over });
const ask = (source: PasswordSource, cache = make(), serverId = 'main', host = 'db') =>
  cache.get({ serverId, source, host, port: 5432, user: 'me' });
const failureOf = (source: PasswordSource, cache = make()) =>
  ask(source, cache).then(String, (error: unknown) => error);
const script = (text: string): PasswordSource => ({ command: [process.execPath, '-e', text] });

/** A command that leaves a mark each time it runs. */
function countingCommand(name: string, then: string): { source: PasswordSource; runs: () => number } {
  const file = join(folder, name);
  const source = script(`require('fs').appendFileSync(${JSON.stringify(file)}, 'x'); ${then}`);
  return { source, runs: () => (existsSync(file) ? readFileSync(file, 'utf8').length : 0) };
}

describe('env', () => {
  test('the value', async () => {
    expect(await ask({ env: 'MAIN_PASSWORD' })).toBe('from env');
  });
  test.each(['MISSING', 'EMPTY'])('%s names variable and server', async (name) => {
    const error = await failureOf({ env: name });
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).message).toBe(
      `server main: the environment variable ${name} with its password is not set`,
    );
    expect(() => make().check('main', { env: name })).toThrow(UsageError);
  });
});

describe('file', () => {
  test.each([
    ['one line', 'pw\n', 'pw'],
    ['no line end', 'pw', 'pw'],
    ['windows', 'pw\r\n', 'pw'],
    ['first line only', 'pw\nother\n', 'pw'],
    ['spaces stay', ' p w \n', ' p w '],
  ])('%s', async (_name, text, expected) => {
    writeFileSync(join(folder, 'pw.txt'), text);
    expect(await ask({ file: 'pw.txt' })).toBe(expected);
    expect(await ask({ file: join(folder, 'pw.txt') })).toBe(expected);
  });
  test('missing or empty', async () => {
    expect(await failureOf({ file: 'nowhere.txt' })).toMatchObject({
      message: `server main: the password file "${join(folder, 'nowhere.txt')}" cannot be read: ENOENT`,
    });
    writeFileSync(join(folder, 'empty.txt'), '\npw\n');
    expect(await failureOf({ file: 'empty.txt' })).toMatchObject({ message: expect.stringContaining('empty') });
  });
});

describe('command', () => {
  test('its first line, run in the folder of the inventory, with no input', async () => {
    const text =
      "require('fs').readFileSync(0); console.log(require('fs').realpathSync(process.cwd())); console.log(2)";
    const { realpathSync } = await import('node:fs');
    expect(await ask(script(text))).toBe(realpathSync(folder));
  });

  test('no shell', async () => {
    expect(await ask({ command: [process.execPath, '-p', 'process.argv[1]', '$(id); "x"'] })).toBe('$(id); "x"');
  });

  test('runs once, also when many ask at once; another server has its own', async () => {
    const { source, runs } = countingCommand('once', "setTimeout(() => console.log('pw'), 50)");
    const cache = make();
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(source, cache)));
    expect(new Set(answers)).toEqual(new Set(['pw']));
    await ask(source, cache, 'main', 'replica');
    expect(runs()).toBe(1);
    await ask(source, cache, 'other');
    expect(runs()).toBe(2);
  });

  test('runs again after five minutes', async () => {
    let now = 0;
    const { source, runs } = countingCommand('expiry', "console.log('pw')");
    const cache = make({ now: () => now });
    await ask(source, cache);
    now = 5 * 60_000 - 1;
    await ask(source, cache);
    expect(runs()).toBe(1);
    now += 1;
    await ask(source, cache);
    expect(runs()).toBe(2);
  });

  test('a failure is kept for a moment only', async () => {
    let now = 0;
    const { source, runs } = countingCommand('failing', 'process.exit(3)');
    const cache = make({ now: () => now });
    await failureOf(source, cache);
    await failureOf(source, cache);
    expect(runs()).toBe(1);
    now = 30_000;
    await failureOf(source, cache);
    expect(runs()).toBe(2);
  });

  test('its stderr is told, its stdout never', async () => {
    const text = "console.log('hunter2'); console.error('vault is sealed, not hunter2'); process.exitCode = 3";
    const error = await failureOf(script(text));
    expect(error).toBeInstanceOf(TenantError);
    expect((error as TenantError).failure).toMatchObject({
      code: 'password-command',
      message: `server main: the password command "${process.execPath}" ended with exit code 3`,
      detail: 'vault is sealed, not ***',
    });
    expect(inspect(error, { depth: 9 })).not.toContain('hunter2');
  });

  test('a program that hangs is ended, though it ignores SIGTERM', async () => {
    const text = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)";
    expect(await failureOf(script(text), make({ commandTimeoutMs: 300 }))).toMatchObject({
      message: expect.stringContaining('did not end within'),
    });
  });

  test.each<[string, PasswordSource, string]>([
    ['prints nothing', script(''), 'printed no password'],
    ['is not there', { command: ['/nowhere/vault'] }, 'could not be run: ENOENT'],
    ['is not named', { command: [] }, 'names no program'],
  ])('%s', async (_name, source, message) => {
    expect(await failureOf(source)).toMatchObject({ message: expect.stringContaining(message) });
  });
});

describe('providers', () => {
  test.each<PasswordSource>([{ awsSecret: 'arn:x' }, { rdsIam: true }])('%j needs one', async (source) => {
    expect(await failureOf(source)).toBeInstanceOf(UsageError);
    expect(() => make().check('main', source)).toThrow('is not known here');
  });

  test('a secret is asked for once a server', async () => {
    const asked: string[] = [];
    const awsSecret = async ({ serverId }: { serverId: string }) => {
      asked.push(serverId);
      return 'secret';
    };
    const cache = make({ providers: { awsSecret } });
    for (const host of ['db', 'db', 'replica']) {
      expect(await ask({ awsSecret: 'x' }, cache, 'main', host)).toBe('secret');
    }
    await ask({ awsSecret: 'x' }, cache, 'other');
    expect(asked).toEqual(['main', 'other']);
  });

  test('a token never goes over a line that all can read', () => {
    const cache = make({ providers: { rdsIam: async () => 'token' } });
    expect(() => cache.check('main', { rdsIam: true }, { usesTls: false })).toThrow('password.rdsIam needs TLS');
    cache.check('main', { rdsIam: true }, { usesTls: true });
  });

  test('a token is fresh for each connection', async () => {
    const asked: string[] = [];
    const cache = make({
      providers: {
        rdsIam: async ({ host, port, user }) => {
          asked.push(`${user}@${host}:${port}`);
          return 'token';
        },
      },
    });
    expect(await ask({ rdsIam: true }, cache)).toBe('token');
    await ask({ rdsIam: true }, cache);
    await ask({ rdsIam: true }, cache, 'main', 'replica');
    expect(asked).toEqual(['me@db:5432', 'me@db:5432', 'me@replica:5432']);
  });
});

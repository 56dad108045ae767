import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { generateHybridIdentity, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { describe, expect, it } from 'vitest';
import { checkRecipients, decrypt, encrypt, readIdentities } from '../../../src/backups/repository/encryption.ts';
import { closedFolder } from '../../support/folders.ts';
import { makeRandom, testSeeds } from '../../support/random.ts';
import { readAll } from '../../support/sample-backup.ts';

const run = promisify(execFile);

async function newKey(): Promise<{ readonly key: string; readonly recipient: string }> {
  const key = await generateX25519Identity();
  return { key, recipient: await identityToRecipient(key) };
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

async function seal(bytes: Uint8Array, recipients: readonly string[], size = 50_000): Promise<Buffer> {
  return readAll(encrypt(pieces(bytes, size), recipients));
}

async function open(bytes: Uint8Array, keys: readonly string[], size = 50_000): Promise<Buffer> {
  return readAll(await decrypt(pieces(bytes, size), keys));
}

describe('archives encrypted with age', () => {
  it.each([0, 1, 65_535, 65_536, 65_537, 1_000_003])(
    '%i bytes come back for each of the recipients',
    async (length) => {
      const [first, second, other] = await Promise.all([newKey(), newKey(), newKey()]);
      const hybrid = await generateHybridIdentity();
      const bytes = randomBytes(length);
      const sealed = await seal(bytes, [first.recipient, second.recipient, await identityToRecipient(hybrid)]);
      for (const key of [first.key, second.key, hybrid]) {
        expect((await open(sealed, [other.key, key])).equals(bytes)).toBe(true);
      }
      await expect(open(sealed, [other.key])).rejects.toMatchObject({ name: 'NoKeyError' });
      await expect(open(sealed, [])).rejects.toMatchObject({ name: 'NoKeyError' });
    },
  );

  it('are not held in memory: what is read ahead of the reader is little', async () => {
    const { key, recipient } = await newKey();
    let given = 0;
    const source = async function* () {
      for (; given < 200; given += 1) yield Buffer.alloc(1 << 20);
    };
    const opened = await decrypt(encrypt(source(), [recipient]), [key]);
    for await (const _ of opened) {
      if (given > 20) break;
    }
    expect(given).toBeLessThan(40);
  });

  it.each(testSeeds(10))('damage is never taken for an archive (seed %i)', async (seed) => {
    const { between, pick } = makeRandom(seed);
    const { key, recipient } = await newKey();
    const sealed = await seal(randomBytes(between(0, 200_000)), [recipient]);
    const flipped = Buffer.from(sealed);
    const at = between(0, sealed.length - 1);
    flipped[at] = flipped[at]! ^ (1 << between(0, 7));
    const damaged = pick([flipped, sealed.subarray(0, at), Buffer.concat([sealed, Buffer.alloc(between(1, 9))])]);
    await expect(open(damaged, [key])).rejects.toMatchObject({
      name: expect.stringMatching(/^(?:TenantError|NoKeyError)$/),
    });
  });

  it('an error of the store stays what it was', async () => {
    const { key, recipient } = await newKey();
    const broken = async function* () {
      yield (await seal(randomBytes(200_000), [recipient])).subarray(0, 100_000);
      throw Object.assign(new Error('stopped'), { name: 'AbortError' });
    };
    await expect(decrypt(broken(), [key]).then(readAll)).rejects.toThrow('stopped');
  });
});

describe('the age program', async () => {
  const isThere = await run('age', ['--version']).then(
    () => true,
    () => false,
  );
  if (!isThere)
    process.stderr.write('tests: the program age is not installed: nobody looks whether it opens what we write\n');

  it.skipIf(!isThere)('opens what we write, and we what it writes', async () => {
    const folder = await closedFolder();
    const at = (name: string) => join(folder, name);
    await run('age-keygen', ['-o', at('key.txt')]);
    const { keys } = await readIdentities(at('key.txt'));
    const recipient = (await run('age-keygen', ['-y', at('key.txt')])).stdout.trim();
    const bytes = randomBytes(300_000);
    await writeFile(at('ours.age'), await seal(bytes, [recipient]));
    await run('age', ['-d', '-i', at('key.txt'), '-o', at('opened'), at('ours.age')]);
    expect((await readFile(at('opened'))).equals(bytes)).toBe(true);
    await run('age', ['-r', recipient, '-o', at('theirs.age'), at('opened')]);
    expect((await open(await readFile(at('theirs.age')), keys)).equals(bytes)).toBe(true);
  });
});

describe('keys', () => {
  it('are read from a file of age-keygen, several and with comments', async () => {
    const file = join(await closedFolder(), 'key.txt');
    const [first, second] = await Promise.all([newKey(), newKey()]);
    await writeFile(
      file,
      `# created: 2026-11-22\r\n# public key: ${first.recipient}\r\n${first.key}\r\n\n${second.key}`,
    );
    expect(await readIdentities(file)).toEqual({ file, keys: [first.key, second.key] });
  });

  it.each([
    ['# only comments\n', 'there is no key in '],
    ['AGE-SECRET-KEY-1QQQQTYPO\n', ':1 is no age key'],
    ['\nage1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\n', ':2 is no age key'],
    ['age-encryption.org/v1\n-> scrypt x', ' is itself encrypted'],
    ['-----BEGIN OPENSSH PRIVATE KEY-----\n', ':1 is no age key'],
  ])('%j is refused without being shown', async (text, message) => {
    const file = join(await closedFolder(), 'key.txt');
    await writeFile(file, text);
    const error = await readIdentities(file).catch((error: unknown) => error as Error & { hint: string });
    expect(error).toMatchObject({ name: 'UsageError', message: expect.stringContaining(message) });
    expect(JSON.stringify([(error as Error).message, error])).not.toMatch(/QQQQTYPO/);
  });

  it('a file that is not there is a usage error', async () => {
    await expect(readIdentities('/nowhere/key.txt')).rejects.toMatchObject({
      name: 'UsageError',
      message: 'the key file /nowhere/key.txt cannot be read: ENOENT',
    });
  });

  it('recipients are checked, and a secret key among them is refused without being shown', async () => {
    const { key, recipient } = await newKey();
    await expect(checkRecipients([recipient], 'backups.encryptTo')).resolves.toBeUndefined();
    const wrong = `${recipient.slice(0, -1)}${recipient.endsWith('q') ? 'p' : 'q'}`;
    await expect(checkRecipients([recipient, wrong], 'backups.encryptTo')).rejects.toMatchObject({
      name: 'UsageError',
      message: `backups.encryptTo[1] is no age recipient: "${wrong}"`,
    });
    for (const secret of [key, key.toLowerCase(), ` ${key}`]) {
      const error = await checkRecipients([secret], 'backups.encryptTo').catch((error: unknown) => error as Error);
      expect(error).toMatchObject({ name: 'UsageError', message: expect.stringContaining('is a secret key') });
      expect(JSON.stringify([(error as Error).message, error]).toLowerCase()).not.toContain(key.toLowerCase());
    }
  });
});

import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeWebStream } from 'node:stream/web';
import { TenantError, UsageError } from '../../errors.ts';

/** A key file of age-keygen, read: secret, so it is never shown. */
export interface Identities {
  readonly file: string;
  readonly keys: readonly string[];
}

/** Thrown where a source has nobody that it could be opened by. */
export class NoKeyError extends Error {
  override readonly name = 'NoKeyError';
}

/** A wrong one is a usage error that names it. One that is a secret key is not shown. */
export async function checkRecipients(recipients: readonly string[], where: string): Promise<void> {
  if (recipients.length === 0) return;
  const { Encrypter } = await import('age-encryption');
  for (const [index, recipient] of recipients.entries()) {
    const at = `${where}[${index}]`;
    if (/^\s*AGE-SECRET-KEY-/i.test(recipient)) {
      throw new UsageError(`${at} is a secret key: it would open every backup`, {
        hint: 'take it out, make a new one with age-keygen, and put its public key (age1…) there',
      });
    }
    try {
      new Encrypter().addRecipient(recipient);
    } catch (cause) {
      throw new UsageError(`${at} is no age recipient: ${JSON.stringify(recipient)}`, {
        hint: 'age-keygen -y <key file> prints the recipient of a key: age1 and 58 more characters',
        cause,
      });
    }
  }
}

/** Reads a file as age-keygen writes it: a key a line, comments with #. */
export async function readIdentities(file: string): Promise<Identities> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new UsageError(`the key file ${file} cannot be read: ${(cause as NodeJS.ErrnoException).code}`, { cause });
  }
  if (/^(?:age-encryption\.org\/|-----BEGIN AGE ENCRYPTED FILE-----)/.test(text)) {
    throw new UsageError(`the key file ${file} is itself encrypted`, { hint: `open it with age -d first` });
  }
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const keys: string[] = [];
  for (const [index, line] of lines.entries()) {
    if (line === '' || line.startsWith('#')) continue;
    await checkIdentity(line, `${file}:${index + 1}`);
    keys.push(line);
  }
  if (keys.length > 0) return { file, keys };
  throw new UsageError(`there is no key in ${file}`, { hint: 'a key file is what age-keygen writes' });
}

async function checkIdentity(line: string, at: string): Promise<void> {
  const { identityToRecipient } = await import('age-encryption');
  try {
    await identityToRecipient(line);
  } catch {
    // The line is not shown, and so is not its error: it may be a secret key with a typing error.
    throw new UsageError(`${at} is no age key`, {
      hint: 'a line of a key file is AGE-SECRET-KEY-1… or a comment; keys of ssh and of plugins are not known here',
    });
  }
}

/** The age file of these bytes, a piece at a time: 64 kB are in memory at once. */
export async function* encrypt(
  source: AsyncIterable<Uint8Array>,
  recipients: readonly string[],
): AsyncGenerator<Uint8Array> {
  const { Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  yield* fromWeb(await encrypter.encrypt(toWeb(source)));
}

/** What an age file holds. The keys are tried before it resolves: a `NoKeyError` says that none fits. */
export async function decrypt(
  source: AsyncIterable<Uint8Array>,
  keys: readonly string[],
): Promise<AsyncIterable<Uint8Array>> {
  const { Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  for (const key of keys) decrypter.addIdentity(key);
  let hasNoKey = false;
  // Asked last, and only when none of those before it fits.
  decrypter.addIdentity({
    unwrapFileKey: () => {
      hasNoKey = true;
      return null;
    },
  });
  let stream: ReadableStream<Uint8Array>;
  try {
    stream = await decrypter.decrypt(toWeb(source));
  } catch (cause) {
    if (hasNoKey) throw new NoKeyError('no key opens it', { cause });
    throw damaged(cause);
  }
  return telling(fromWeb(stream));
}

async function* telling(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (cause) {
    throw damaged(cause);
  }
}

/** What went wrong below (the store) stays what it was. */
function damaged(cause: unknown): Error {
  if (cause instanceof TenantError || (cause as Error).name === 'AbortError') return cause as Error;
  return new TenantError(
    { message: 'the encrypted file is damaged: age does not accept it', code: 'archive-damaged' },
    { cause },
  );
}

function toWeb(source: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  // One piece at a time: what is ahead of the reader is in memory.
  const readable = Readable.from(source, { objectMode: true, highWaterMark: 1 });
  return Readable.toWeb(readable, { strategy: { highWaterMark: 1, size: () => 1 } }) as ReadableStream<Uint8Array>;
}

async function* fromWeb(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* Readable.fromWeb(stream as NodeWebStream<Uint8Array>, { objectMode: true, highWaterMark: 1 });
}

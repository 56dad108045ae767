import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  type MultipartUpload,
  PutObjectCommand,
  type PutObjectCommandInput,
  paginateListObjectsV2,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { BackupStore, Content, StoredFile } from '../backups/repository/store.ts';
import { UsageError } from '../errors.ts';
import type { BackupPlace } from '../fleet/inventory/backups.ts';
import { attemptsOf, isMissingObject, s3Error, statusOf } from './s3-errors.ts';

type S3Place = Extract<BackupPlace, { kind: 's3' }>;

/** How long a service may be silent. */
export interface S3Patience {
  readonly connectMs: number;
  /** Without a byte in either direction. */
  readonly idleMs: number;
  /** Until an answer begins. A part must get through a slow line. */
  readonly answerMs: number;
  /** Of each request, the first one included. */
  readonly attempts: number;
}

const usualPatience: S3Patience = { connectMs: 10_000, idleMs: 30_000, answerMs: 300_000, attempts: 4 };

/** A part of a large file; so many of them are in memory at once. S3 takes 10,000 parts at most. */
const partBytes = 8 * 1024 * 1024;
const partsAtOnce = 3;
const mostParts = 9_000;

/** S3 removes at most so many with one request. */
const removedAtOnce = 1000;

/** Says which `put` wrote an object: one that was sent again finds its own work, and need not take it for another's. */
const writerKey = 'tenantctl-put';

/**
 * Credentials are found by the AWS SDK: variables, profiles, roles of the machine. `isRewritable`: keys that may be put
 * again; all others are written once.
 */
export async function openS3Store(
  place: S3Place,
  isRewritable: (key: string) => boolean,
  patience: S3Patience = usualPatience,
): Promise<BackupStore> {
  const open = (region: string | null) =>
    new S3Client({
      ...(region !== null && { region }),
      ...(place.endpoint !== null && { endpoint: place.endpoint }),
      forcePathStyle: place.pathStyle,
      maxAttempts: patience.attempts,
      requestHandler: {
        connectionTimeout: patience.connectMs,
        socketTimeout: patience.idleMs,
        requestTimeout: patience.answerMs,
        throwOnRequestTimeout: true,
      },
    });
  const client = open(place.region);
  try {
    await client.config.region();
    return new S3Store(client, place, isRewritable);
  } catch (cause) {
    client.destroy();
    // Services other than Amazon's mostly have no regions, and take this one.
    if (place.endpoint !== null) return new S3Store(open('us-east-1'), place, isRewritable);
    throw new UsageError(`the region of s3://${place.bucket} is not known`, {
      hint: 'set `region` beside the url in `backups`, or AWS_REGION',
      cause,
    });
  }
}

class S3Store implements BackupStore {
  readonly name: string;
  readonly #client: S3Client;
  readonly #place: S3Place;
  readonly #prefix: string;
  readonly #isRewritable: (key: string) => boolean;
  /** False: the service knows no writing under a condition. */
  #isConditional = true;

  constructor(client: S3Client, place: S3Place, isRewritable: (key: string) => boolean) {
    this.#client = client;
    this.#isRewritable = isRewritable;
    this.#place = place;
    this.#prefix = place.prefix === '' ? '' : `${place.prefix}/`;
    this.name = `s3://${place.bucket}${place.prefix === '' ? '' : `/${place.prefix}`}`;
  }

  localPath(): null {
    return null;
  }

  async spoolFolder(): Promise<null> {
    return null;
  }

  async put(key: string, content: Content, signal?: AbortSignal): Promise<void> {
    const writer = randomUUID();
    try {
      await this.#send(key, content, writer, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (this.#isConditional && statusOf(error) === 501) {
        this.#isConditional = false;
        return this.put(key, content, signal);
      }
      // Sent again because an answer was lost, it finds the object there, or its upload gone.
      const mayBeDone = attemptsOf(error) > 1 && [404, 412].includes(statusOf(error) ?? 0);
      if (mayBeDone && (await this.#isWrittenBy(key, writer))) return;
      throw s3Error(error, 'writing', this.#url(key));
    }
  }

  async #send(key: string, content: Content, writer: string, signal: AbortSignal | undefined): Promise<void> {
    const { encryption, kmsKey } = this.#place;
    const params = {
      ...this.#object(key),
      ContentLength: content.sizeBytes,
      ContentType: key.endsWith('.json') ? 'application/json' : 'application/octet-stream',
      Metadata: { [writerKey]: writer },
      ...(encryption !== null && { ServerSideEncryption: encryption }),
      ...(kmsKey !== null && { SSEKMSKeyId: kmsKey }),
      ...(this.#isConditional && !this.#isRewritable(key) && { IfNoneMatch: '*' }),
    } satisfies PutObjectCommandInput;
    if (content.kind === 'bytes') {
      const Body = Buffer.concat(content.chunks);
      await this.#client.send(new PutObjectCommand({ ...params, Body }), abortedBy(signal));
      return;
    }
    await this.#upload(params, content, signal);
  }

  async #upload(
    params: PutObjectCommandInput,
    { path, sizeBytes }: Extract<Content, { kind: 'file' }>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const abort = new AbortController();
    const onAbort = () => abort.abort();
    signal?.addEventListener('abort', onAbort, { once: true });
    const Body = createReadStream(path, { highWaterMark: 1 << 20 });
    try {
      signal?.throwIfAborted();
      await new Upload({
        client: this.#client,
        params: { ...params, Body },
        partSize: Math.max(partBytes, Math.ceil(sizeBytes / mostParts)),
        queueSize: partsAtOnce,
        abortController: abort,
      }).done();
    } finally {
      signal?.removeEventListener('abort', onAbort);
      Body.destroy();
    }
  }

  async #isWrittenBy(key: string, writer: string): Promise<boolean> {
    try {
      const { Metadata } = await this.#client.send(new HeadObjectCommand(this.#object(key)));
      return Metadata?.[writerKey] === writer;
    } catch {
      return false;
    }
  }

  async read(key: string, signal?: AbortSignal): Promise<Readable | null> {
    try {
      const command = new GetObjectCommand(this.#object(key));
      const { Body, ContentLength } = await this.#client.send(command, abortedBy(signal));
      return Readable.from(this.#readBody(key, Body as Readable, ContentLength, signal), { objectMode: false });
    } catch (error) {
      if (isMissingObject(error)) return null;
      signal?.throwIfAborted();
      throw s3Error(error, 'reading', this.#url(key));
    }
  }

  async *#readBody(
    key: string,
    body: Readable,
    expected: number | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Buffer> {
    let sizeBytes = 0;
    try {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        signal?.throwIfAborted();
        sizeBytes += chunk.length;
        yield chunk;
      }
      if (expected !== undefined && sizeBytes !== expected) throw new Error(`${sizeBytes} bytes came, not ${expected}`);
    } catch (error) {
      signal?.throwIfAborted();
      throw s3Error(error, 'reading', this.#url(key));
    } finally {
      body.destroy();
    }
  }

  async readSmall(key: string): Promise<Uint8Array | null> {
    const stream = await this.read(key);
    if (stream === null) return null;
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  async *list(prefix: string): AsyncGenerator<StoredFile> {
    const { bucket } = this.#place;
    try {
      const pages = paginateListObjectsV2(
        { client: this.#client },
        { Bucket: bucket, Prefix: `${this.#prefix}${prefix}` },
      );
      for await (const { Contents = [] } of pages) {
        for (const { Key = '', Size = 0, LastModified = new Date(0) } of Contents) {
          yield { key: Key.slice(this.#prefix.length), sizeBytes: Size, modifiedAt: LastModified };
        }
      }
    } catch (error) {
      throw s3Error(error, 'listing', this.name);
    }
  }

  async remove(keys: readonly string[]): Promise<void> {
    for (let start = 0; start < keys.length; start += removedAtOnce) {
      const Objects = keys.slice(start, start + removedAtOnce).map((key) => ({ Key: `${this.#prefix}${key}` }));
      const command = new DeleteObjectsCommand({ Bucket: this.#place.bucket, Delete: { Objects, Quiet: true } });
      const { Errors = [] } = await this.#client.send(command).catch((error) => {
        throw s3Error(error, 'removing', this.name);
      });
      const [first] = Errors;
      if (first === undefined) continue;
      const error = Object.assign(new Error(first.Message ?? 'not removed'), { name: first.Code ?? 'Error' });
      throw s3Error(error, `removing ${Errors.length} of ${Objects.length}`, `s3://${this.#place.bucket}/${first.Key}`);
    }
  }

  async removeLeftovers(since: Date): Promise<readonly string[]> {
    const removed: string[] = [];
    try {
      for await (const { Key, UploadId, Initiated } of this.#unfinishedUploads()) {
        if (Key === undefined || Initiated === undefined || Initiated >= since) continue;
        await this.#client.send(new AbortMultipartUploadCommand({ Bucket: this.#place.bucket, Key, UploadId }));
        removed.push(Key.slice(this.#prefix.length));
      }
      return removed;
    } catch (error) {
      throw s3Error(error, 'removing parts of unfinished uploads', this.name);
    }
  }

  async *#unfinishedUploads(): AsyncGenerator<MultipartUpload> {
    let from: Pick<ListMultipartUploadsCommandOutput, 'NextKeyMarker' | 'NextUploadIdMarker'> = {};
    for (;;) {
      const page: ListMultipartUploadsCommandOutput = await this.#client.send(
        new ListMultipartUploadsCommand({
          Bucket: this.#place.bucket,
          Prefix: this.#prefix,
          KeyMarker: from.NextKeyMarker,
          UploadIdMarker: from.NextUploadIdMarker,
        }),
      );
      yield* page.Uploads ?? [];
      if (page.IsTruncated !== true) return;
      from = page;
    }
  }

  #object(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#place.bucket, Key: `${this.#prefix}${key}` };
  }

  #url(key: string): string {
    return `${this.name}/${key}`;
  }
}

function abortedBy(signal: AbortSignal | undefined): { readonly abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

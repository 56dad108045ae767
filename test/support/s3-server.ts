import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { crc32 } from 'node:zlib';
import { onTestFinished } from 'vitest';

export interface StoredObject {
  readonly bytes: Buffer;
  /** Those of the request that wrote it, or that began it when it came in parts. */
  readonly headers: IncomingHttpHeaders;
  /** In how many parts it came; 0: whole. */
  readonly parts: number;
}

interface RecordedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

/** What is done to a request in place of answering it. */
type Mischief =
  | { readonly kind: 'answer'; readonly status: number; readonly code: string }
  /** No byte ever comes. */
  | { readonly kind: 'hang' }
  /** The connection ends in the middle of what the client sends. */
  | { readonly kind: 'cut' }
  /** The work is done, but the connection ends before the answer. */
  | { readonly kind: 'done-and-cut' }
  /** The connection ends in the middle of the answer. */
  | { readonly kind: 'half' };

/** A service that speaks as much of S3 as a store of backups needs, in memory. */
export interface S3Server {
  readonly url: string;
  /** By key; there is one bucket, `backups`. */
  readonly objects: Map<string, StoredObject>;
  /** Multipart uploads that were begun and not ended, by their id. */
  readonly uploads: ReadonlyMap<string, { readonly key: string }>;
  readonly requests: readonly RecordedRequest[];
  /** Does it to the next so many requests of that method; `GET` and the rest of the path may be named too. */
  misbehave(mischief: Mischief, times: number, which?: RegExp): void;
}

interface Upload {
  readonly key: string;
  readonly headers: IncomingHttpHeaders;
  readonly parts: Map<number, Buffer>;
}

/** Lives until the test has ended. `pageSize`: of listings. */
export async function startS3Server({ pageSize = 1000, knowsConditions = true } = {}): Promise<S3Server> {
  const service = new Service(pageSize, knowsConditions);
  const server = createServer((request, response) => {
    service.answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const { port } = server.address() as AddressInfo;
  return Object.assign(service, { url: `http://127.0.0.1:${port}` });
}

class Service {
  readonly objects = new Map<string, StoredObject>();
  readonly uploads = new Map<string, Upload>();
  readonly requests: RecordedRequest[] = [];
  readonly #pageSize: number;
  readonly #knowsConditions: boolean;
  #mischief: { readonly mischief: Mischief; times: number; readonly which: RegExp } | null = null;

  constructor(pageSize: number, knowsConditions: boolean) {
    this.#pageSize = pageSize;
    this.#knowsConditions = knowsConditions;
  }

  misbehave(mischief: Mischief, times: number, which = /^/): void {
    this.#mischief = { mischief, times, which };
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    this.requests.push({ method, path: url, headers });
    const mischief = this.#takeMischief(`${method} ${url}`);
    if (mischief?.kind === 'cut') return void request.once('data', () => request.destroy());
    const body = await readAll(request);
    if (mischief?.kind === 'hang') return;
    if (mischief?.kind === 'answer') return sendError(response, mischief.status, mischief.code);
    const { pathname, searchParams } = new URL(url, 'http://s3');
    const [, bucket, ...rest] = pathname.split('/');
    const key = decodeURIComponent(rest.join('/'));
    if (bucket !== 'backups') return sendError(response, 404, 'NoSuchBucket');
    const crc = headers['x-amz-checksum-crc32'];
    if (crc !== undefined && crc !== checksum(body)) return sendError(response, 400, 'BadDigest');
    if (mischief?.kind === 'half') {
      const bytes = this.objects.get(key)?.bytes ?? Buffer.alloc(0);
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy());
      return;
    }
    const result = this.#work(method, key, searchParams, headers, body);
    if (mischief?.kind === 'done-and-cut') return void response.destroy();
    if ('code' in result) return sendError(response, result.status, result.code);
    response.writeHead(result.status ?? 200, result.headers).end(result.body);
  }

  #takeMischief(line: string): Mischief | null {
    if (this.#mischief === null || this.#mischief.times === 0 || !this.#mischief.which.test(line)) return null;
    this.#mischief.times -= 1;
    return this.#mischief.mischief;
  }

  #work(method: string, key: string, query: URLSearchParams, headers: IncomingHttpHeaders, body: Buffer): Answer {
    const upload = this.uploads.get(query.get('uploadId') ?? '');
    if (query.has('uploadId') && upload === undefined) return { status: 404, code: 'NoSuchUpload' };
    if (method === 'POST' && query.has('delete')) return this.#remove(body.toString());
    if (method === 'POST' && query.has('uploads')) return this.#begin(key, headers);
    if (method === 'POST') return this.#complete(query.get('uploadId')!, upload!, headers);
    if (method === 'PUT' && upload !== undefined) {
      upload.parts.set(Number(query.get('partNumber')), body);
      return { headers: { etag: etag(body) } };
    }
    if (method === 'PUT') return this.#put(key, { bytes: body, headers, parts: 0 }, headers);
    if (method === 'DELETE') return this.#abort(query.get('uploadId') ?? '');
    if (query.has('uploads')) return this.#listUploads(query);
    if (query.get('list-type') === '2') return this.#list(query);
    const found = this.objects.get(key);
    if (found === undefined) return { status: 404, code: 'NoSuchKey' };
    const metadata = Object.entries(found.headers).filter(([name]) => name.startsWith('x-amz-meta-'));
    return {
      headers: { 'content-length': String(found.bytes.length), ...(Object.fromEntries(metadata) as Headers) },
      ...(method === 'GET' && { body: found.bytes }),
    };
  }

  #put(key: string, object: StoredObject, headers: IncomingHttpHeaders): Answer {
    if (headers['content-encoding']?.includes('aws-chunked')) return { status: 501, code: 'NotImplemented' };
    if (headers['if-none-match'] === '*') {
      if (!this.#knowsConditions) return { status: 501, code: 'NotImplemented' };
      if (this.objects.has(key)) return { status: 412, code: 'PreconditionFailed' };
    }
    this.objects.set(key, object);
    return { headers: { etag: etag(object.bytes) } };
  }

  #begin(key: string, headers: IncomingHttpHeaders): Answer {
    const id = randomUUID();
    this.uploads.set(id, { key, headers, parts: new Map() });
    return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
  }

  #complete(id: string, upload: Upload, headers: IncomingHttpHeaders): Answer {
    const parts = [...upload.parts].toSorted(([a], [b]) => a - b).map(([, bytes]) => bytes);
    const object = { bytes: Buffer.concat(parts), headers: upload.headers, parts: parts.length };
    const answer = this.#put(upload.key, object, headers);
    if ('code' in answer) return answer;
    this.uploads.delete(id);
    return xml(`<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>`);
  }

  #abort(id: string): Answer {
    this.uploads.delete(id);
    return { status: 204 };
  }

  #remove(text: string): Answer {
    for (const [, key = ''] of text.matchAll(/<Key>([^<]*)<\/Key>/g)) this.objects.delete(key);
    return xml('<DeleteResult></DeleteResult>');
  }

  #list(query: URLSearchParams): Answer {
    const prefix = query.get('prefix') ?? '';
    const after = query.get('continuation-token') ?? '';
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).toSorted();
    const page = keys.slice(0, this.#pageSize);
    const isCut = keys.length > page.length;
    const contents = page.map((key) => {
      const size = this.objects.get(key)!.bytes.length;
      return `<Contents><Key>${key}</Key><LastModified>2026-11-22T10:15:00.000Z</LastModified><Size>${size}</Size></Contents>`;
    });
    const next = isCut ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : '';
    return xml(`<ListBucketResult><IsTruncated>${isCut}</IsTruncated>${contents.join('')}${next}</ListBucketResult>`);
  }

  #listUploads(query: URLSearchParams): Answer {
    const uploads = [...this.uploads]
      .filter(([, { key }]) => key.startsWith(query.get('prefix') ?? ''))
      .map(
        ([id, { key }]) =>
          `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>2026-11-22T10:15:00.000Z</Initiated></Upload>`,
      );
    return xml(`<ListMultipartUploadsResult>${uploads.join('')}</ListMultipartUploadsResult>`);
  }
}

type Headers = Readonly<Record<string, string>>;
type Answer =
  | { readonly status?: number; readonly headers?: Headers; readonly body?: Buffer | string }
  | { readonly status: number; readonly code: string };

function xml(body: string): Answer {
  return { headers: { 'content-type': 'application/xml' }, body: `<?xml version="1.0"?>${body}` };
}

function sendError(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code} it is</Message></Error>`);
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function etag(bytes: Buffer): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`;
}

function checksum(bytes: Buffer): string {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(crc32(bytes));
  return value.toString('base64');
}

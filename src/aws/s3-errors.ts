import { TenantError } from '../errors.ts';
import { credentialProblems } from './aws-errors.ts';

interface AwsError extends Error {
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly attempts?: number };
}

/** By the name that S3 gives an error, or that of its status: what it means, and what to do. */
const meanings: Readonly<Record<string, readonly [meaning: string, hint?: string]>> = {
  ...credentialProblems,
  NoSuchBucket: ['there is no such bucket', 'make the bucket, or look at the name and the endpoint in `backups`'],
  AccessDenied: [
    'access denied',
    'the key needs s3:ListBucket on the bucket, s3:GetObject, s3:PutObject, s3:AbortMultipartUpload and s3:DeleteObject below the prefix',
  ],
  PermanentRedirect: ['the bucket is in another region', 'set `region` beside the url in `backups`'],
  AuthorizationHeaderMalformed: ['the bucket is in another region', 'set `region` beside the url in `backups`'],
  PreconditionFailed: [
    'it is there already',
    'a backup is never written over: another dump took it at the same instant',
  ],
  'KMS.NotFoundException': ['there is no such KMS key', 'look at `kmsKey` in `backups`'],
  TimeoutError: ['no answer in time', 'look at the endpoint and the network'],
  SlowDown: ['too many requests', 'dump with a smaller --concurrency'],
};

const byStatus: Readonly<Record<number, string>> = {
  301: 'PermanentRedirect',
  403: 'AccessDenied',
  412: 'PreconditionFailed',
};

/** What went wrong with a bucket, as one line: `doing` is the request, `where` the object. Credentials are never in it. */
export function s3Error(error: unknown, doing: string, where: string): TenantError {
  if (error instanceof TenantError) return error;
  const { name, code, message, $metadata } = error as AwsError;
  const status = $metadata?.httpStatusCode;
  const isPlain = name === 'Unknown' || name === 'UnknownError' || !(name in meanings);
  const known = meanings[isPlain ? (byStatus[status ?? 0] ?? name) : name];
  const attempts = ($metadata?.attempts ?? 1) > 1 ? ` (tried ${$metadata?.attempts} times)` : '';
  const [meaning, hint] = known ?? [describe(name, code, message, status), hintOf(status, code)];
  return new TenantError(
    { message: `${where}: ${doing}: ${meaning}${attempts}`, code: 'store', ...(hint !== undefined && { hint }) },
    { cause: error },
  );
}

function describe(name: string, code: string | undefined, message: string, status: number | undefined): string {
  if (status !== undefined && status >= 500) return `the service answered ${status} (${name})`;
  if (code !== undefined) return `it cannot be reached (${code})`;
  return status === undefined ? message : `the service answered ${status}: ${message} (${name})`;
}

function hintOf(status: number | undefined, code: string | undefined): string | undefined {
  if (status !== undefined && status >= 500) return 'try again later: nothing was left half written';
  return code === undefined ? undefined : 'look at the endpoint and the region in `backups`, and at the network';
}

/** The answer of S3 for an object that is not there. */
export function isMissingObject(error: unknown): boolean {
  const { name } = error as AwsError;
  return name === 'NoSuchKey' || name === 'NotFound';
}

export function statusOf(error: unknown): number | undefined {
  return (error as AwsError).$metadata?.httpStatusCode;
}

/** How many times a request was sent. */
export function attemptsOf(error: unknown): number {
  return (error as AwsError).$metadata?.attempts ?? 1;
}

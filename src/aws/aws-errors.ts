import { TenantError } from '../errors.ts';

interface SdkError extends Error {
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly attempts?: number };
}

type Meaning = readonly [meaning: string, hint: string];

const credentialHint =
  'give it by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, by AWS_PROFILE, or by a role of the machine';
const expired: Meaning = ['the credentials have expired', 'log in again, or renew the session token'];
const throttled: Meaning = ['too many requests, even after waiting', 'run the same command again later'];

/** What is wrong with credentials says every service in the same words. */
export const credentialProblems: Readonly<Record<string, Meaning>> = {
  InvalidAccessKeyId: ['the access key is not known there', credentialHint],
  InvalidClientTokenId: ['the access key is not known there', credentialHint],
  UnrecognizedClientException: ['the access key is not known there', credentialHint],
  SignatureDoesNotMatch: ['the secret key does not fit the access key', credentialHint],
  ExpiredToken: expired,
  ExpiredTokenException: expired,
  CredentialsProviderError: ['no credentials were found', credentialHint],
};

const wentThrough: Readonly<Record<string, Meaning>> = {
  ...credentialProblems,
  Throttling: throttled,
  ThrottlingException: throttled,
  RequestLimitExceeded: throttled,
  TimeoutError: ['no answer in time', 'look at the network, and at the endpoint if one is set'],
};

const denied = new Set(['AccessDenied', 'AccessDeniedException', 'UnauthorizedOperation', 'NotAuthorized']);

/** What AWS said no to, with its own word for it. */
export class AwsError extends TenantError {
  /** Without a trailing `Fault`: the wire has it for some errors and not for others. */
  readonly awsCode: string;

  constructor(awsCode: string, failure: TenantError['failure'], cause: unknown) {
    super(failure, { cause });
    this.awsCode = awsCode;
  }
}

/** A request, in words for its error. */
export interface AwsRequest {
  /** `instance saas-main (eu-west-1)`. */
  readonly what: string;
  /** `stopping it`. */
  readonly doing: string;
  /** That the credentials must be allowed: `rds:StopDBInstance`. */
  readonly action: string;
}

/** AWS's word for an error, as it is on the wire, without a trailing `Fault`. */
export function awsCodeOf(error: unknown): string {
  if (error instanceof AwsError) return error.awsCode;
  const { name, code } = error as SdkError;
  return (name === 'Error' || name === undefined ? (code ?? 'Unknown') : name).replace(/Fault$/, '');
}

/** What went wrong with a request, as one line and a hint. Credentials are never in it. `meanings`: of one service. */
export function awsError(
  error: unknown,
  { what, doing, action }: AwsRequest,
  meanings: Readonly<Record<string, Meaning>> = {},
): AwsError {
  if (error instanceof AwsError) return error;
  const awsCode = awsCodeOf(error);
  const attempts = (error as SdkError).$metadata?.attempts ?? 1;
  const [meaning, hint] = denied.has(awsCode)
    ? deniedMeaning(action)
    : (meanings[awsCode] ?? wentThrough[awsCode] ?? unknownMeaning(error as SdkError, awsCode));
  const tried = attempts > 1 ? ` (tried ${attempts} times)` : '';
  return new AwsError(awsCode, { message: `${what}: ${doing}: ${meaning}${tried}`, code: 'aws', hint }, error);
}

function deniedMeaning(action: string): Meaning {
  return [
    `access denied: the IAM action ${action} is missing`,
    `allow ${action} to these credentials, or use others: --profile, AWS_PROFILE; docs/aws.md has the smallest policy`,
  ];
}

function unknownMeaning({ code, message, $metadata }: SdkError, awsCode: string): Meaning {
  const status = $metadata?.httpStatusCode;
  if (status === undefined) {
    const reason = code === undefined ? message : `it cannot be reached (${code})`;
    return [reason, 'look at the network, the region and the endpoint'];
  }
  return [
    `AWS answered ${status}: ${message} (${awsCode})`,
    'look at it in the AWS console, then run the command again',
  ];
}

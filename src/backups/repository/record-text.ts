import { hash } from 'node:crypto';
import { InternalError } from '../../errors.ts';
import type { Pin, ReceiptRecord, VerificationRecord } from './backup.ts';
import type { BackupManifest } from './manifest.ts';
import {
  amount,
  anyObject,
  count,
  flag,
  instant,
  list,
  matching,
  object,
  oneOf,
  orNull,
  type Shape,
  ShapeError,
  text,
  texts,
  variants,
} from './shape.ts';

/** A file of JSON as it was read: what it says, or why it cannot be believed. */
export type RecordRead<T> = { readonly value: T } | { readonly problem: string };

const sha256 = matching(/^[0-9a-f]{64}$/, 'a sha256 in lower case');

const subject = variants('kind', {
  tenant: object({ kind: text, tenant: text }),
  shared: object({ kind: text, server: text, database: text }),
  'large-objects': object({ kind: text, server: text, database: text }),
  roles: object({ kind: text, server: text }),
});

const manifestShape = object(
  {
    schema: oneOf('tenantctl-backup/1'),
    subject,
    time: matching(/^\d{4}-\d\d-\d\dT\d{6}\.\d{3}Z$/, 'a time like 2026-11-22T101500.123Z'),
    versions: object({ tenantctl: text, server: text, dump: text }),
    run: text,
    environment: text,
    place: object({ server: text, database: text, schema: orNull(text) }),
    labels: texts,
    isFenced: flag,
    snapshot: object({ takenAt: instant, lsn: text, isCommon: flag, reason: text, fromReplica: flag }, ['reason']),
    archive: object({ sizeBytes: count, sha256 }),
    file: object({ name: text, sizeBytes: count, sha256 }),
    encryption: orNull(object({ method: oneOf('age'), recipients: list(text) })),
    tables: list(object({ schema: text, name: text, rows: orNull(count), sizeBytes: count })),
    migration: orNull(object({ version: text, applied: count })),
    needs: object({
      extensions: list(object({ name: text, version: text, schema: text })),
      roles: list(text),
      shared: orNull(text),
      rolesFile: orNull(text),
      largeObjects: orNull(text),
    }),
    made: object({ batch: count, alone: text, durationMs: amount, endedAt: instant }, ['alone']),
    remarks: list(text),
  },
  ['isFenced'],
);

const verificationShape = object({
  schema: oneOf('tenantctl-verification/1'),
  results: list(
    object({
      level: oneOf('manifest', 'content', 'restore'),
      verdict: oneOf('passed', 'bad', 'could-not-run'),
      at: instant,
      durationMs: amount,
      run: text,
      tenantctl: text,
      server: orNull(text),
      problems: list(text),
      remarks: list(text),
    }),
  ),
});

const pinShape = object({
  schema: oneOf('tenantctl-pin/1'),
  at: instant,
  by: text,
  reason: text,
  until: orNull(instant),
});

const receiptShape = object({
  schema: oneOf('tenantctl-receipt-file/1'),
  wokenAt: orNull(instant),
  // Its writer alone knows what it says.
  receipt: anyObject,
});

export const manifestText = (manifest: BackupManifest): string => recordText(manifestShape, manifest);
export const verificationText = (record: VerificationRecord): string => recordText(verificationShape, record);
export const pinText = (pin: Pin): string => recordText(pinShape, pin);
export const receiptText = (record: ReceiptRecord): string => recordText(receiptShape, record);

export const readManifest = (bytes: Uint8Array) => readRecord<BackupManifest>(manifestShape, bytes);
export const readVerification = (bytes: Uint8Array) => readRecord<VerificationRecord>(verificationShape, bytes);
export const readPin = (bytes: Uint8Array) => readRecord<Pin>(pinShape, bytes);
export const readReceipt = (bytes: Uint8Array) => readRecord<ReceiptRecord>(receiptShape, bytes);

const ending = /,\n {2}"checksum": "([0-9a-f]{64})"\n\}\n$/;

/** JSON for people, keys in one order, with a checksum over all other bytes at its end: `sha256` of the text without that line. */
function recordText(shape: Shape, value: unknown): string {
  let ordered: unknown;
  try {
    ordered = shape(value);
  } catch (cause) {
    throw new InternalError(`a record of a backup is not as it should be: ${(cause as Error).message}`, { cause });
  }
  const body = JSON.stringify(ordered, null, 2);
  return `${body.slice(0, -2)},\n  "checksum": "${checksum(body)}"\n}\n`;
}

function readRecord<T>(shape: Shape, bytes: Uint8Array): RecordRead<T> {
  let whole: string;
  try {
    whole = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { problem: 'it is not UTF-8' };
  }
  const match = ending.exec(whole);
  if (match === null) return { problem: 'it does not end in its checksum: cut, or changed' };
  const body = `${whole.slice(0, match.index)}\n}`;
  if (checksum(body) !== match[1]) return { problem: 'its checksum does not fit: damaged, or changed' };
  try {
    return { value: shape(JSON.parse(body)) as T };
  } catch (error) {
    if (error instanceof ShapeError || error instanceof SyntaxError) return { problem: error.message };
    throw error;
  }
}

function checksum(body: string): string {
  return hash('sha256', body);
}

import { expect, test } from 'vitest';
import type { BackupManifest } from '../../../src/backups/repository/manifest.ts';
import { manifestText, readManifest } from '../../../src/backups/repository/record-text.ts';
import { sampleManifest, tenant } from '../../support/sample-backup.ts';

const digest = { sizeBytes: 10, sha256: 'ab'.repeat(32) };
const put = { archive: digest, file: { name: 'x.dump', ...digest }, encryption: null };
const labels = { tier: 'göld', '7': 'a\u2028b', '\ufffd': '"' };
const manifest = sampleManifest(tenant('Acmé'), '2026-11-22T101500.123Z', put, { labels });

function problemOf(bytes: Uint8Array): string | null {
  const read = readManifest(bytes);
  return 'problem' in read ? read.problem : null;
}

/** The text with other content and a checksum that fits. */
function forged(change: (value: Record<string, never>) => void): Uint8Array {
  const value = JSON.parse(JSON.stringify(manifest)) as Record<string, never>;
  change(value);
  const loose = manifestText as (value: unknown) => string;
  // A newer tenantctl may write keys that this one does not know: so does this one, when it gets them.
  return Buffer.from(loose(value));
}

test('a manifest comes back, with its keys in one order', () => {
  const text = manifestText(manifest);
  expect(readManifest(Buffer.from(text))).toEqual({ value: manifest });
  const shuffled = Object.fromEntries(Object.entries(manifest).toReversed()) as unknown as BackupManifest;
  expect(manifestText(shuffled)).toBe(text);
  expect(Object.keys(JSON.parse(text) as object).slice(0, 3)).toEqual(['schema', 'subject', 'time']);
  expect(text).toMatch(/\n {2}"checksum": "[0-9a-f]{64}"\n\}\n$/);
});

test('every flipped bit, and every cut, is noticed', () => {
  const bytes = Buffer.from(manifestText(manifest));
  const missed: string[] = [];
  for (let index = 0; index < bytes.length; index += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      const flipped = Buffer.from(bytes);
      flipped[index] = flipped[index]! ^ (1 << bit);
      if (problemOf(flipped) === null) missed.push(`bit ${bit} of byte ${index}`);
    }
    if (problemOf(bytes.subarray(0, index)) === null) missed.push(`cut at ${index}`);
  }
  expect(missed).toEqual([]);
  expect(problemOf(Buffer.concat([bytes, Buffer.from('\n')]))).not.toBeNull();
  expect(problemOf(Buffer.concat([Buffer.from('\ufeff'), bytes]))).not.toBeNull();
});

test('what a newer tenantctl adds stays', () => {
  const read = readManifest(forged((value) => Object.assign(value, { more: 1 })));
  expect(read).toEqual({ value: { ...manifest, more: 1 } });
});

test.each([
  ['a list', Buffer.from('[]'), 'cut, or changed'],
  ['nothing', Buffer.from(''), 'cut, or changed'],
  ['no UTF-8', Buffer.from([0xff]), 'not UTF-8'],
])('%s is no manifest', (_name, bytes, problem) => {
  expect(problemOf(bytes)).toContain(problem);
});

test.each([
  [{ schema: 'tenantctl-backup/2' }, 'schema should be "tenantctl-backup/1"'],
  [{ subject: { kind: 'planet' } }, 'subject.kind should be "tenant" or'],
  [{ subject: { kind: 'shared', server: 'main' } }, 'subject.database should be text'],
  [{ time: '2026-11-22T10:15:00Z' }, 'time should be a time like'],
  [{ file: { ...put.file, sizeBytes: -1 } }, 'file.sizeBytes should be a whole number'],
  [{ tables: [{ schema: 'a', name: 'b', rows: 1, sizeBytes: 1 }, 7] }, 'tables[1] should be an object'],
  [{ labels: { a: 1 } }, 'labels.a should be text'],
  [{ snapshot: { ...manifest.snapshot, isCommon: 'yes' } }, 'snapshot.isCommon should be true or false'],
])('%j is not written, and the error names it', (change, problem) => {
  expect(() => forged((value) => Object.assign(value, change))).toThrow(problem);
});

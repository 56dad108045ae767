import { expect, test } from 'vitest';
import { readBackupTime } from '../../../src/commands/backups/read-time.ts';

test.each([
  ['2026-11-22', '2026-11-22T00:00:00.000Z', '2026-11-22T23:59:59.999Z'],
  ['2026-11-22T10:15Z', '2026-11-22T10:15:00.000Z', '2026-11-22T10:15:59.999Z'],
  ['2026-11-22T10:15:07Z', '2026-11-22T10:15:07.000Z', '2026-11-22T10:15:07.999Z'],
  ['2026-11-22 10:15:07z', '2026-11-22T10:15:07.000Z', '2026-11-22T10:15:07.999Z'],
  ['2026-11-22t10:15:07.1+02:00', '2026-11-22T08:15:07.100Z', '2026-11-22T08:15:07.199Z'],
  ['2026-11-22T10:15:07.123456-05:30', '2026-11-22T15:45:07.123Z', '2026-11-22T15:45:07.123Z'],
  ['2026-11-22T101507.123Z', '2026-11-22T10:15:07.123Z', '2026-11-22T10:15:07.123Z'],
])('%s is from %s to %s', (text, from, to) => {
  expect(readBackupTime(text)).toEqual({ text, span: { from: new Date(from), to: new Date(to) } });
});

test('latest has no end', () => {
  expect(readBackupTime('latest')).toEqual({ text: 'latest', span: null });
});

test.each([
  '',
  'yesterday',
  '2026-02-30',
  '2026-02-30T10:15:00Z',
  '2026-11-22T10:15:00',
  '2026-11-22T25:15:00Z',
  '2026-11-22T10:15.5Z',
  '20261122',
  '1763806500',
  '22.11.2026',
])('%j is a usage error', (text) => {
  expect(() => readBackupTime(text, '--until')).toThrow(`--until takes a time, not ${JSON.stringify(text)}`);
});

import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { coversTenant, isOver } from '../../src/fleet/accepted-drift.ts';
import { parseAcceptedDrift, readAcceptedDrift } from '../../src/fleet/read-accepted-drift.ts';

const good = `version: 1
accepted:
  - tenants: [acme, eu-*]
    kind: index
    name: tasks_*
    reason: added by hand, migration 0050 brings it to all
    until: 2027-03-31
  - labels: [tier=enterprise, "!trial"]
    kind: column
    name: users.legacy_id
    attribute: default
    reason: old importer
    until: 2027-12-31
`;

function mistakesOf(text: string): readonly string[] {
  try {
    parseAcceptedDrift(text, 'drift.yaml');
  } catch (error) {
    if (error instanceof UsageError) return error.details;
  }
  return [];
}

describe('a file of accepted differences', () => {
  const entries = parseAcceptedDrift(good, 'drift.yaml');

  it('says for whom, what, why and until when', () => {
    expect(entries[0]).toEqual({
      tenants: ['acme', 'eu-*'],
      labels: [],
      kind: 'index',
      name: 'tasks_*',
      attribute: null,
      reason: 'added by hand, migration 0050 brings it to all',
      until: '2027-03-31',
      at: 'drift.yaml:3:5',
    });
    expect(entries[1]).toMatchObject({ tenants: [], attribute: 'default', at: 'drift.yaml:8:5' });
  });

  it.each([
    [0, 'acme', {}, true],
    [0, 'eu-7', {}, true],
    [0, 'us-7', {}, false],
    [1, 'x', { tier: 'enterprise' }, true],
    [1, 'x', { tier: 'enterprise', trial: 'yes' }, false],
    [1, 'x', {}, false],
  ])('entry %i and tenant %s with labels %o: %s', (index, id, labels, expected) => {
    expect(coversTenant(entries[index]!, { id, labels })).toBe(expected);
  });

  it('counts to the end of its last day', () => {
    expect(isOver(entries[0]!, new Date('2027-03-31T23:59:59.999Z'))).toBe(false);
    expect(isOver(entries[0]!, new Date('2027-04-01T00:00:00Z'))).toBe(true);
  });

  it('may be empty', () => {
    expect(parseAcceptedDrift('version: 1\naccepted: []\n', 'drift.yaml')).toEqual([]);
    expect(parseAcceptedDrift('version: 1\naccepted:\n', 'drift.yaml')).toEqual([]);
  });

  it('tells every mistake with its line and column', () => {
    const text = good
      .replace('2027-03-31', '2027-02-30')
      .replace('tier=enterprise', 'two words')
      .replace('    attribute: default', '    atribute: default')
      .replace('    reason: old importer\n', '');
    expect(mistakesOf(text)).toEqual([
      'drift.yaml:7:12 accepted[0].until: expected a date such as 2027-03-31, got "2027-02-30"',
      'drift.yaml:8:5 accepted[1].reason: missing: expected text',
      'drift.yaml:8:14 accepted[1].labels[0]: expected a label such as tier=gold, tier!=free, region or !region',
      'drift.yaml:11:5 accepted[1].atribute: unknown key: did you mean attribute?',
    ]);
  });

  it.each([
    ['nobody is named', good.replace('tenants: [acme, eu-*]\n    kind', 'kind'), 'for whom'],
    ['the date is no text', good.replace('2027-03-31', '20270331'), 'quote it'],
    ['it is of another version', good.replace('version: 1', 'version: 2'), 'expected 1'],
    ['it is a list', '- tenants: [a]\n', 'expected a mapping'],
    ['it is no yaml', 'version: 1\naccepted: [', 'yaml'],
    ['it is empty', '', 'expected a mapping'],
  ])('is refused when %s', (_, text, message) => {
    expect(mistakesOf(text).join('\n')).toContain(message);
  });

  it('that is not there is a usage error', async () => {
    await expect(readAcceptedDrift('/nowhere/drift.yaml', 'drift.yaml')).rejects.toThrow(
      'cannot read the accepted differences in drift.yaml: ENOENT',
    );
  });
});

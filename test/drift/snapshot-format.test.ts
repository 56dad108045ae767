import { hash } from 'node:crypto';
import { expect, it } from 'vitest';
import { factsChecksum } from '../../src/drift/fact-statements.ts';
import { factGroups } from '../../src/drift/facts/groups.ts';
import { snapshotFormat } from '../../src/drift/snapshot-text.ts';

const majors = [14, 15, 16, 17, 18];

/**
 * The kinds and attributes of each format. A snapshot in somebody's git has those of its day: one that it does not know
 * would be drift of all tenants. So an attribute that comes, goes or is renamed raises the format, and gets a new line
 * here; no line is ever changed.
 */
const formats: Readonly<Record<number, string>> = {
  1: '0deb4ad5b3fd9d1d',
};

function kindsAndAttributes(major: number): readonly string[] {
  const kinds = factGroups(major).flatMap((group) => group.kinds);
  return kinds.flatMap(({ kind, attributes }) => Object.keys(attributes).map((name) => `${major} ${kind}: ${name}`));
}

it('is another format when there are other attributes', () => {
  const all = majors.flatMap(kindsAndAttributes).toSorted();
  expect(hash('sha256', all.join('\n')).slice(0, 16)).toBe(formats[snapshotFormat]);
});

it('knows by which texts facts are read', () => {
  expect(new Set(majors.map(factsChecksum)).size).toBe(majors.length);
  expect(factsChecksum(15)).toBe(factsChecksum(15));
});

import { describe, expect, it, test } from 'vitest';
import { hazardNames } from '../../src/migrations/hazards.ts';
import { readPages } from './pages.ts';

const page = readPages().find(({ path }) => path === 'docs/hazards.md')!;

describe('docs/hazards.md', () => {
  it.each(hazardNames)('says of %s what it is, why it hurts and what is safer', (name) => {
    expect(page.rows.map(([cell = '']) => cell)).toContain(`[\`${name}\`](#${name})`);
    const [, section = ''] = page.text.split(`\n## ${name}\n`);
    const [text = ''] = section.split('\n## ');
    expect(text).toContain('**Safer:**');
    expect(text.trim().length).toBeGreaterThan(200);
  });

  it('tells of no other', () => {
    const listed = page.rows.flatMap(([cell = '']) => /^\[`([a-z-]+)`\]/.exec(cell)?.[1] ?? []);
    expect(listed).toEqual([...hazardNames]);
  });
});

test('the docs allow hazards that there are', () => {
  const words = readPages().flatMap(({ text }) => [
    ...text.matchAll(/(?:tenantctl:allow|--allow) ([a-z-]+(?:,[a-z-]+)*)/g),
  ]);
  const names = words.flatMap(([, list = '']) => list.split(','));
  expect(names.length).toBeGreaterThan(3);
  expect(names.filter((name) => name !== 'all' && !hazardNames.some((known) => known === name))).toEqual([]);
});

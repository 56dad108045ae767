import { describe, expect, it } from 'vitest';
import type { Toc, TocEntry } from '../../../src/backups/archive/types.ts';
import { compareSchemas } from '../../../src/backups/verify/compare-schema.ts';
import { findReferences, namesAny } from '../../../src/backups/verify/other-schemas.ts';

function toc(...entries: readonly (Partial<TocEntry> & { readonly kind: string; readonly tag: string })[]): Toc {
  return {
    header: {} as Toc['header'],
    entries: entries.map((entry) => ({ namespace: 'a', owner: 'app', definition: '', ...entry }) as TocEntry),
  };
}

const table = { kind: 'TABLE', tag: 'users', definition: 'CREATE TABLE a.users (id int);' };
const withOwners = { withOwners: true };

describe('two schemas', () => {
  it('are equal whatever the order, the data and the settings', () => {
    const index = { kind: 'INDEX', tag: 'users_idx', definition: 'CREATE INDEX …' };
    const archive = toc(table, index, { kind: 'TABLE DATA', tag: 'users' }, { kind: 'ENCODING', tag: 'ENCODING' });
    expect(compareSchemas(archive, toc(index, table), withOwners)).toEqual({ objects: [], definitions: [] });
  });

  it.each([
    ['lacks an object', toc(), ['TABLE a.users is in the archive and was not restored'], []],
    ['has one more', toc(table, { kind: 'VIEW', tag: 'v' }), ['VIEW a.v was restored and is not in the archive'], []],
    [
      'has it in another way',
      toc({ ...table, definition: 'CREATE TABLE a.users (id bigint);' }),
      [],
      ['TABLE a.users has another definition than in the archive'],
    ],
    ['has another owner', toc({ ...table, owner: 'x' }), [], ['TABLE a.users belongs to x and in the archive to app']],
  ])('differ when one %s', (_, restored, objects, definitions) => {
    expect(compareSchemas(toc(table), restored, withOwners)).toEqual({ objects, definitions });
  });

  it('have several entries of one name: grants of columns', () => {
    const grant = (definition: string) => ({ kind: 'ACL', tag: 'COLUMN users.id', definition });
    const archive = toc(grant('one'), grant('two'));
    expect(compareSchemas(archive, toc(grant('two'), grant('one')), withOwners).definitions).toEqual([]);
    expect(compareSchemas(archive, toc(grant('two'), grant('two')), withOwners).definitions).toHaveLength(1);
    expect(compareSchemas(archive, toc(grant('two')), withOwners).objects).toHaveLength(1);
    expect(compareSchemas(archive, toc(), { withOwners: false })).toEqual({ objects: [], definitions: [] });
  });
});

describe('other schemas', () => {
  const key = {
    kind: 'FK CONSTRAINT',
    tag: 'orders orders_user_fkey',
    definition: 'ALTER TABLE ONLY a.orders ADD CONSTRAINT x FOREIGN KEY (u) REFERENCES "Tenant ""B"""."users"(id);',
  };

  it('are those that foreign keys lead to, without its own', () => {
    const own = { ...key, definition: 'ALTER TABLE a.orders ADD FOREIGN KEY (u) REFERENCES a.users(id);' };
    const schema = { kind: 'SCHEMA', tag: 'a' };
    expect([...findReferences(toc(schema, key, own))]).toEqual([['Tenant "B"', 'orders orders_user_fkey']]);
  });

  it('are named in SQL as PostgreSQL writes names', () => {
    const view = toc({ kind: 'VIEW', tag: 'v', definition: 'SELECT t.id FROM tenant_1.users t, a.tenant_2' });
    expect(namesAny(view, new Set(['tenant_1']))).toBe(true);
    expect(namesAny(view, new Set(['tenant_2', 'enant_1', 'users']))).toBe(false);
    expect(namesAny(toc(key), new Set(['Tenant "B"']))).toBe(true);
    expect(namesAny(toc(key), new Set(['users']))).toBe(false);
  });
});

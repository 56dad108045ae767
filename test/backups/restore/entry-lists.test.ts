import { describe, expect, it } from 'vitest';
import type { TocEntry } from '../../../src/backups/archive/types.ts';
import { copiedColumns } from '../../../src/backups/restore/copied-columns.ts';
import { orderEntries } from '../../../src/backups/restore/entry-lists.ts';

function entry(dumpId: number, kind: string, dependencies: readonly number[] = []): TocEntry {
  return { dumpId, kind, dependencies, tag: `t${dumpId}`, namespace: 's' } as unknown as TocEntry;
}

describe('orderEntries', () => {
  it('leaves foreign keys, row-level security and what hangs on them to the end; all else keeps its order', () => {
    const entries = [
      entry(1, 'ENCODING'),
      entry(2, 'SCHEMA'),
      entry(5, 'TABLE', [2]),
      entry(9, 'TABLE DATA', [5]),
      entry(7, 'FK CONSTRAINT', [5]),
      entry(8, 'COMMENT', [7]),
      entry(3, 'POLICY', [5]),
      entry(6, 'TRIGGER', [5]),
      entry(4, 'ROW SECURITY', [5]),
    ];
    expect(orderEntries(entries)).toEqual({ first: [2, 5, 9, 6], last: [7, 8, 3, 4] });
  });
});

describe('copiedColumns', () => {
  it.each([
    ['COPY tenant_acme.tasks (id, title) FROM stdin;\n', ['id', 'title']],
    ['COPY "Tenant ""Q"".é"."a.b" ("x, y", "c""d", id) FROM stdin;\n', ['x, y', 'c"d', 'id']],
    ['COPY s.t  FROM stdin;\n', null],
  ])('reads %j', (statement, columns) => {
    expect(copiedColumns(statement)).toEqual(columns);
  });
});

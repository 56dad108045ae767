import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hashText } from '../../src/drift/facts/fact-kind.ts';
import { factGroups } from '../../src/drift/facts/groups.ts';
import { createTestDatabase } from '../support/database.ts';

const db = await createTestDatabase();

interface KnownTable {
  readonly name: string;
  readonly isLeftOut: boolean;
  /** By how the facts come by it: `read`, a function's name, `not`. */
  readonly columns: ReadonlyMap<string, string>;
}

function readKnown(): readonly KnownTable[] {
  const text = readFileSync(new URL('catalogue-columns.txt', import.meta.url), 'utf8').replaceAll(/^#.*\n/gm, '');
  return text
    .trim()
    .split(/\n(?! )/)
    .map((block) => {
      const [first = '', ...lines] = block.split('\n');
      const [name = '', reason] = first.split(' - ');
      const columns = lines.flatMap((line) => {
        const [, how = '', names = '', why] = /^ {2}(read|not|by \w+): ([\w ]+?)(?: - (.+))?$/.exec(line) ?? [];
        if (how === '' || (how === 'not') !== (why !== undefined)) throw new Error(`not understood: ${line}`);
        return names.split(' ').map((column) => [column, how.replace('by ', '')] as const);
      });
      return { name: name.trim(), isLeftOut: reason !== undefined, columns: new Map(columns) };
    });
}

const known = new Map(readKnown().map((table) => [table.name, table]));

async function readCatalogue(): Promise<readonly { table: string; columns: string[] }[]> {
  return db.query(`select c.relname::text as table, json_agg(a.attname order by a.attnum) as columns
    from pg_catalog.pg_class c join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
   where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind = 'r' group by 1`);
}

describe('catalogue', () => {
  it('has no column that nobody thought of', async () => {
    const unknown = (await readCatalogue()).flatMap(({ table, columns }) => {
      const own = known.get(table);
      if (own === undefined) return [table];
      return own.isLeftOut
        ? []
        : columns.filter((column) => !own.columns.has(column)).map((column) => `${table}.${column}`);
    });
    expect(unknown).toEqual([]);
  });

  it('is read where the list says so', async () => {
    const [row] = await db.query<{ major: number }>(
      `select current_setting('server_version_num')::int / 10000 as major`,
    );
    const words = new Set(factGroups(row!.major).map(hashText).join('\n').match(/\w+/g));
    const missing = (await readCatalogue()).flatMap(({ table, columns }) => {
      const own = known.get(table)?.columns;
      return columns.filter((column) => {
        const how = own?.get(column) ?? 'not';
        return how !== 'not' && !words.has(how === 'read' ? column : how);
      });
    });
    expect(missing).toEqual([]);
  });
});

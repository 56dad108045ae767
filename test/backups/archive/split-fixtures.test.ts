import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, inject, it } from 'vitest';
import { checkArchive } from '../../../src/backups/archive/check-archive.ts';
import { openFolder } from '../../support/folders.ts';
import { makeRandom, testSeeds } from '../../support/random.ts';
import {
  comparableSql,
  fixtureFolder,
  fixtureNames,
  fixtureSchemas,
  inOnePiece,
  inPieces,
  readFixture,
  splitInMemory,
} from './archives.ts';
import { renderArchive } from './render-archive.ts';

const run = promisify(execFile);
const ways = ['to a file', 'piped'] as const;

/** What `pg_dump -n` of that schema gave. */
async function expectedSql(name: string, number: number): Promise<string> {
  const version = name.startsWith('pg15') ? '1.14' : '1.16';
  return readFile(new URL(`expected-${version}-${number + 1}.sql`, fixtureFolder), 'utf8');
}

/** What a pg_restore newer than the archive says in other words. */
function ofAnyVersion(sql: string): string {
  return sql
    .replace(/^SET transaction_timeout.*\n/m, '')
    .replace(/^ALTER (?:SEQUENCE|MATERIALIZED VIEW|VIEW) (.* OWNER TO)/gm, 'ALTER TABLE $1')
    .trimEnd();
}

describe.each(fixtureNames)('%s', (name) => {
  it.each(ways)('split, written %s, is to the byte what pg_dump -n gives for each schema', async (way) => {
    const parts = await splitInMemory(inOnePiece(await readFixture(name, way)), fixtureSchemas);
    expect([...parts.keys()].toSorted()).toEqual([...fixtureSchemas].toSorted());
    for (const [number, schema] of fixtureSchemas.entries()) {
      const sql = await renderArchive(parts.get(schema)!.bytes);
      expect(sql).toBe(await expectedSql(name, number));
    }
  });

  it('split gives archives that pass the check, with their rows', async () => {
    const parts = await splitInMemory(inOnePiece(await readFixture(name, 'piped')), fixtureSchemas);
    for (const [schema, part] of parts) {
      const { problems, unsupported, tables, toc } = await checkArchive(inOnePiece(part.bytes));
      expect({ problems, unsupported }).toEqual({ problems: [], unsupported: null });
      expect(tables).toEqual(part.tables);
      expect(toc?.entries.length).toBe(part.entries.length);
      expect(part.tables.map(({ name, rows }) => [name, rows])).toEqual([
        ['cache', 0],
        ['ev_2024', 10],
        ['orders', 20],
        ['users', 20],
        ...(schema === 'tenant_2' ? [['xref', 0]] : []),
      ]);
      expect(part.tables.every((table) => table.schema === schema)).toBe(true);
    }
  });

  it.each(testSeeds(2))('split is the same however the bytes come (seed %i)', async (seed) => {
    const archive = await readFixture(name, 'piped');
    const whole = await splitInMemory(inOnePiece(archive), fixtureSchemas);
    const pieces = await splitInMemory(inPieces(archive, makeRandom(seed)), fixtureSchemas);
    for (const [schema, { bytes }] of whole) expect(pieces.get(schema)?.bytes.equals(bytes)).toBe(true);
  });
});

describe.each(['pg15-gzip', 'pg15-none'])('%s', (name) => {
  it.each(ways)('split, written %s, is read by pg_restore', async (way) => {
    const { client } = inject('cluster').postgres;
    const folder = await openFolder();
    const parts = await splitInMemory(inOnePiece(await readFixture(name, way)), fixtureSchemas);
    for (const [number, schema] of fixtureSchemas.entries()) {
      const path = join(folder, `${number}.dump`);
      await writeFile(path, parts.get(schema)!.bytes);
      const { stdout } = await run(join(client!.binDir, 'pg_restore'), ['-f', '-', path], {
        env: { ...process.env, ...client!.env },
      });
      expect(ofAnyVersion(comparableSql(stdout))).toBe(ofAnyVersion(await expectedSql(name, number)));
    }
  });
});

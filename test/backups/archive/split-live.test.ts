import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { checkArchive } from '../../../src/backups/archive/check-archive.ts';
import { finishArchive } from '../../../src/backups/archive/finish-archive.ts';
import { splitArchive } from '../../../src/backups/archive/split-archive.ts';
import { asSuperuser, createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { openFolder } from '../../support/folders.ts';
import { comparableSql, inOnePiece, readContent, splitInMemory } from './archives.ts';
import { richDatabase, richSchema } from './rich-schema.ts';

const run = promisify(execFile);
const suffix = randomBytes(4).toString('hex');
const roles = { owner: `rich_owner_${suffix}`, reader: `rich_reader_${suffix}` };
// The databases that use them are dropped before.
afterAll(() => asSuperuser((admin) => admin.query(`DROP ROLE IF EXISTS ${roles.owner}, ${roles.reader}`)));

const tenants = ['tenant_1', 'tenant_2', 'Tenant "Q" é', 'tenant_1_archive', 'tenant_3'].map((schema, number) => ({
  schema,
  marker: `mark${number}${randomBytes(6).toString('hex')}`,
}));
const schemas = tenants.map(({ schema }) => schema);
const source = await createTestDatabase();

beforeAll(async () => {
  await asSuperuser((admin) => admin.query(`CREATE ROLE ${roles.owner}; CREATE ROLE ${roles.reader}`));
  for (const { schema, marker } of tenants) await source.query(richSchema(schema, marker, roles));
  await source.query(richDatabase('tenant_1', 'tenant_2').replace('current_name', source.name));
});

/** Runs one of PostgreSQL's own programs; gives its output. */
async function program(name: 'pg_dump' | 'pg_restore', args: readonly string[]): Promise<Buffer> {
  const { client } = inject('cluster').postgres;
  const { stdout } = await run(join(client!.binDir, name), [...args], {
    env: { ...process.env, ...client!.env },
    encoding: 'buffer',
    maxBuffer: 1e9,
  });
  return stdout;
}

function dump(database: TestDatabase, ...args: readonly string[]): Promise<Buffer> {
  return program('pg_dump', [...args, '-d', database.url]);
}

function patterns(names: readonly string[]): readonly string[] {
  return names.flatMap((name) => ['-n', `"${name.replaceAll('"', '""')}"`]);
}

async function sqlOf(database: TestDatabase, ...schemas: readonly string[]): Promise<string> {
  return comparableSql((await dump(database, ...patterns(schemas))).toString('utf8'));
}

async function restoredSql(archive: Buffer): Promise<string> {
  const path = join(await openFolder(), 'x.dump');
  await writeFile(path, archive);
  return comparableSql((await program('pg_restore', ['-f', '-', path])).toString('utf8'));
}

describe('a database with every kind of object', () => {
  it.each([
    ['a batch', ['--strict-names', ...patterns(schemas)]],
    ['a batch without compression', ['-Z0', ...patterns(schemas)]],
    ['all of the database', []],
  ])('dumped as %s and split gives what pg_dump -n gives, to the byte', async (_what, args) => {
    const whole = await dump(source, '-Fc', ...args);
    const parts = await splitInMemory(inOnePiece(whole), schemas);
    for (const schema of schemas) {
      const { bytes } = parts.get(schema)!;
      expect((await checkArchive(inOnePiece(bytes))).problems).toEqual([]);
      const sql = await restoredSql(bytes);
      expect(sql).toBe(await sqlOf(source, schema));
      // Publications and what else binds a schema to the database stays there.
      expect(sql).not.toMatch(/PUBLICATION|CREATE CAST|EVENT TRIGGER|EXTENSION/);
    }
  });

  it('holds nothing of another tenant', async () => {
    const whole = await dump(source, '-Fc', '-Z0', ...patterns(schemas));
    const parts = await splitInMemory(inOnePiece(whole), schemas);
    for (const { schema, marker } of tenants) {
      const bytes = parts.get(schema)!.bytes;
      expect(bytes.includes(marker)).toBe(true);
      for (const other of tenants) if (other.schema !== schema) expect(bytes.includes(other.marker)).toBe(false);
    }
  });

  it('restored from an archive it is the same', async () => {
    const parts = await splitInMemory(inOnePiece(await dump(source, '-Fc', ...patterns(schemas))), schemas);
    const folder = await openFolder();
    for (const schema of ['Tenant "Q" é', 'tenant_1_archive', 'tenant_1']) {
      const target = await createTestDatabase({ until: 'test' });
      const path = join(folder, 'x.dump');
      await writeFile(path, parts.get(schema)!.bytes);
      await program('pg_restore', ['--exit-on-error', '--no-password', '-j2', '-d', target.url, path]);
      expect(await sqlOf(target, schema)).toBe(await sqlOf(source, schema));
    }
  });

  it('counts the large objects that no schema has', async () => {
    const { largeObjects, leftOut } = await splitArchive(
      inOnePiece(await dump(source, '-Fc', '-b', ...patterns(schemas))),
      {
        schemas,
        memoryLimitBytes: 1e6,
        spoolFile: async () => '',
        onFinished: async () => {},
      },
    );
    expect(largeObjects).toBe(2);
    expect(new Set(leftOut.map(({ kind }) => kind))).toContain('BLOBS');
  });

  it('finished as one archive gives what pg_dump gives', async () => {
    const { content, tables } = await finishArchive(inOnePiece(await dump(source, '-Fc')), {
      memoryLimitBytes: 1e6,
      spoolFile: async () => '',
    });
    const bytes = await readContent(content);
    const { problems, toc } = await checkArchive(inOnePiece(bytes));
    expect(problems).toEqual([]);
    expect(toc?.entries.some(({ kind, data }) => kind === 'BLOBS' && data.state === 'set')).toBe(true);
    expect(await restoredSql(bytes)).toBe(comparableSql((await dump(source)).toString('utf8')));
    const users = tables.find(({ schema, name }) => schema === 'tenant_1' && name === 'users');
    expect(users?.rows).toBe(22);
  });

  it('rows written as INSERT statements are not counted', async () => {
    const parts = await splitInMemory(inOnePiece(await dump(source, '-Fc', '--inserts', '-n', 'tenant_3')), [
      'tenant_3',
    ]);
    const { bytes, tables } = parts.get('tenant_3')!;
    expect(new Set(tables.map(({ rows }) => rows))).toEqual(new Set([null]));
    expect((await checkArchive(inOnePiece(bytes))).problems).toEqual([]);
  });
});

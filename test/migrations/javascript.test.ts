import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createFleet } from '../support/fleet.ts';
import { tableMigration } from '../support/migrations.ts';
import { holdTable } from '../support/table-lock.ts';

test('all that a migration in JavaScript or TypeScript may be, among SQL ones, for each tenant', async () => {
  const fleet = await createFleet({
    schemas: 2,
    databases: 1,
    migrations: {
      '0001_builder.js': `exports.shorthands = { key: { type: 'integer', primaryKey: true } };
exports.up = (pgm) => { pgm.createTable('builder', { id: 'key', name: { type: 'text', notNull: true } }); };`,
      '0002_sql.sql':
        'CREATE TABLE plain (id int REFERENCES builder);\nINSERT INTO builder VALUES (1, current_schema());',
      // Shorthands add up from file to file, and the query sees what ran before.
      '0003_async.mjs': `export const up = async (pgm) => {
  const [{ name }] = await pgm.db.select('SELECT name FROM builder WHERE id = $1', [1]);
  await pgm.db.query({ text: 'INSERT INTO builder VALUES ($1, $2)', values: [2, name + '!'] });
  pgm.createTable('later', { id: 'key' });
};
export const down = false;`,
      '0004_callback.cjs': `exports.down = (pgm) => pgm.dropTable('called');
exports.up = (pgm, done) => { setTimeout(() => { pgm.sql("CREATE TABLE called (x text DEFAULT '{a}')"); done(); }, 1); };`,
      '0005_typed.ts': `import type { MigrationBuilder } from 'node-pg-migrate';
enum Color { Red = 'red' }
export async function up(pgm: MigrationBuilder): Promise<void> { pgm.createType('color', [Color.Red]); }
export async function down(pgm: MigrationBuilder): Promise<void> { pgm.dropType('color'); }`,
    },
  });
  const report = await fleet.json('migrate --all');
  expect(report.outcomes.map(({ error }) => error)).toEqual([undefined, undefined, undefined]);
  expect(await fleet.tables()).toEqual(
    ['tenant_t01', 'tenant_t02'].flatMap((schema) =>
      ['builder', 'called', 'later', 'plain'].map((t) => `${schema}.${t}`),
    ),
  );
  expect(await fleet.db.query('select name from tenant_t02.builder order by id')).toEqual([
    { name: 'tenant_t02' },
    { name: 'tenant_t02!' },
  ]);

  // A written down, then `down = false`.
  expect((await fleet.json('migrate down -t t01 --yes')).of('t01').value).toMatchObject({ reverted: ['0005_typed'] });
  const stuck = await fleet.json('migrate down -t t01 --count 2 --yes');
  expect(stuck.of('t01')).toMatchObject({ status: 'failed' });
  expect(await fleet.history('tenant_t01')).toHaveLength(4);
});

test('a missing down is the reverse of up', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: {
      '0001_a.js': `exports.up = (pgm) => { pgm.createTable('a', { id: 'id' }); pgm.createIndex('a', 'id'); };`,
    },
  });
  await fleet.run('migrate --all');
  expect(await fleet.tables()).toEqual(['tenant_t01.a']);
  expect((await fleet.json('migrate down --all --yes')).exitCode).toBe(0);
  expect(await fleet.tables()).toEqual([]);
});

test('a file is loaded once a run, however many tenants there are', async () => {
  const fleet = await createFleet({ schemas: 8 });
  const log = join(fleet.folder, 'loaded');
  await fleet.write(
    '0001_a.js',
    `require('fs').appendFileSync(${JSON.stringify(log)}, 'loaded ');
exports.up = (pgm) => { require('fs').appendFileSync(${JSON.stringify(log)}, 'up '); pgm.sql('CREATE TABLE a (id int)'); };`,
  );
  expect((await fleet.json('migrate --all --concurrency 1')).exitCode).toBe(0);
  expect(await readFile(log, 'utf8')).toBe(`loaded ${'up '.repeat(8)}`);
});

test('it is not loaded at all when it has nothing to do', async () => {
  const fleet = await createFleet({ schemas: 1, migrations: { '0001_a.js': 'exports.up = () => {};' } });
  await fleet.run('migrate --all --fake');
  await fleet.write('0002_b.sql', 'SELECT 1;');
  expect((await fleet.json('migrate --all')).of('t01').value).toMatchObject({ applied: ['0002_b'] });
});

test.each([
  ['throws', 'exports.up = () => { throw new Error("no luck"); };', { message: 'no luck' }],
  ['rejects', 'exports.up = async () => { throw new Error("no luck"); };', { message: 'no luck' }],
  ['throws something odd', 'exports.up = () => { throw "no luck"; };', { message: 'no luck' }],
  [
    'sends wrong SQL',
    'exports.up = (pgm) => { pgm.sql("CREATE TABLE b (x int)"); pgm.sql("DROP TABLE nothing"); };',
    { sqlState: '42P01' },
  ],
  ['queries wrongly', 'exports.up = async (pgm) => { await pgm.db.query("SELECT nothing"); };', { sqlState: '42703' }],
  [
    'has no up',
    'exports.down = () => {};',
    { message: expect.stringContaining('does not export a function named up') },
  ],
  ['forbids up', 'exports.up = false;', { message: expect.stringContaining('forbids going up') }],
])('one that %s fails its tenants, names the file and leaves nothing', async (_, text, error) => {
  const fleet = await createFleet({
    schemas: 2,
    migrations: { '0001_a.sql': 'CREATE TABLE a (id int);', '0002_b.js': text },
  });
  const report = await fleet.json('migrate --all');
  expect([report.exitCode, report.totals.failed]).toEqual([4, 2]);
  expect(report.of('t01')).toMatchObject({ step: '0002_b', error: { ...error, file: 'migrations/0002_b.js' } });
  expect(await fleet.tables()).toEqual([]);
  // Errors in a migration are the tenant's, and not a lost connection: the session goes on being used.
  expect((await fleet.json('migrate --all --count 1')).exitCode).toBe(0);
});

test('one that cannot be loaded refuses the run before a tenant is touched', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: { '0001_a.sql': 'CREATE TABLE a (id int);', '0002_b.js': 'exports.up = (;' },
  });
  const { exitCode, stdout, stderr } = await fleet.run('migrate --all');
  expect([exitCode, stdout]).toEqual([5, '']);
  expect(stderr).toContain('migrations/0002_b.js');
  expect(await fleet.history('tenant_t01')).toBeNull();
});

test.each([
  ['a callback that nobody calls', 'exports.up = (pgm, done) => { pgm.sql("CREATE TABLE b (x int)"); };'],
  ['a promise that nobody keeps', 'exports.up = () => new Promise(() => {});'],
])('%s is given up when its time is up, and rolled back', async (_, text) => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: { '0001_a.sql': 'CREATE TABLE a (id int);', '0002_b.js': text },
  });
  const report = await fleet.json('migrate --all --timeout 200ms');
  expect(report.of('t01')).toMatchObject({ status: 'failed', step: '0002_b', error: { code: 'timeout' } });
  expect(await fleet.tables()).toEqual([]);
});

test('pgm.noTransaction(): its statements run one by one, outside', async () => {
  const fleet = await createFleet({
    schemas: 2,
    migrations: {
      '0001_a.sql': 'CREATE TABLE a (id int);',
      '0002_i.js': `exports.up = (pgm) => { pgm.noTransaction(); pgm.createIndex('a', 'id', { name: 'i', concurrently: true }); };
exports.down = (pgm) => { pgm.noTransaction(); pgm.dropIndex('a', 'id', { name: 'i', concurrently: true }); };`,
      '0003_b.sql': tableMigration('b'),
    },
  });
  expect((await fleet.json('migrate --all')).outcomes.map(({ error }) => error)).toEqual([undefined, undefined]);
  const indexes = () =>
    fleet.db.query(
      `select indexrelid::regclass::text as name from pg_index where indexrelid::regclass::text ~ 'tenant_t0.\\.i$' and indisvalid`,
    );
  expect(await indexes()).toHaveLength(2);
  expect((await fleet.json('migrate down --all --count 2 --yes')).exitCode).toBe(0);
  expect(await indexes()).toHaveLength(0);
});

test.each([
  ['ROLLBACK', 'exports.up = (pgm) => { pgm.sql("ROLLBACK"); };', 'transaction-ended'],
  ['COMMIT and BEGIN', 'exports.up = (pgm) => { pgm.sql("COMMIT"); pgm.sql("BEGIN"); };', 'transaction-ended'],
  [
    'COMMIT on its way out of the transaction',
    'exports.up = async (pgm) => { pgm.noTransaction(); await pgm.db.query("COMMIT"); };',
    'transaction-ended',
  ],
  [
    'BEGIN without a transaction',
    'exports.up = (pgm) => { pgm.noTransaction(); pgm.sql("BEGIN"); };',
    'transaction-open',
  ],
])('%s inside one never gets into the history', async (_, text, code) => {
  const fleet = await createFleet({ schemas: 1, migrations: { '0001_a.js': text } });
  const report = await fleet.json('migrate --all');
  expect(report.of('t01')).toMatchObject({ status: 'failed', error: { code, file: 'migrations/0001_a.js' } });
  // What the server rolls back is not told as committed.
  expect(report.of('t01').error).not.toHaveProperty('detail');
  expect((await fleet.history('tenant_t01')) ?? []).toEqual([]);
});

test.each([
  'pgm.db.query("COMMIT")',
  'pgm.db.query({ text: "/* ; */ Commit And Chain" })',
  'pgm.db.select("SELECT 1; END", [])',
  'pgm.db.query("PREPARE TRANSACTION \'x\'")',
  'pgm.db.query("START TRANSACTION")',
])('%s is refused before it is sent: what ran before it neither stays nor runs twice', async (statement) => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: {
      '0001_n.sql': 'CREATE TABLE counter (n int);\nINSERT INTO counter VALUES (0);\nCREATE TABLE kept (id int);',
      '0002_add.sql': 'UPDATE counter SET n = n + 100;',
      '0003_js.js': `exports.up = async (pgm) => {
  await pgm.db.query('UPDATE counter SET n = n + 1');
  await ${statement};
  await pgm.db.query('BEGIN');
  await pgm.db.query('ALTER TABLE kept ADD x int');
};`,
    },
  });
  await fleet.run('migrate --all --to 0001');
  await holdTable(fleet.db, 'tenant_t01.kept');
  const outcome = (await fleet.json('migrate --all --lock-timeout 50ms --tries 2')).of('t01');
  expect(outcome.error).toMatchObject({ code: 'transaction-ended', file: 'migrations/0003_js.js' });
  expect(outcome).not.toHaveProperty('attempts');
  expect(await fleet.db.query('select n from tenant_t01.counter')).toEqual([{ n: 0 }]);
});

test('savepoints, and words that only look like transaction control, are for migrations in JavaScript to use', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: {
      '0001_a.js': `exports.up = async (pgm) => {
  await pgm.db.query("SAVEPOINT a; CREATE TABLE a (id int); ROLLBACK TO a; RELEASE a");
  await pgm.db.query("DO $$ BEGIN PERFORM CASE WHEN true THEN 'COMMIT' END; END $$");
  pgm.sql("SAVEPOINT b; ROLLBACK TO b; CREATE TABLE b (id int)");
};`,
    },
  });
  expect((await fleet.json('migrate --all')).of('t01').error).toBeUndefined();
  expect(await fleet.tables()).toEqual(['tenant_t01.b']);
});

/** Backslashes escape only on a server that is told so: nothing that reads the file alone can know. */
async function unparsedFleet(text: string) {
  const fleet = await createFleet({
    schemas: 1,
    migrations: {
      '0001_n.sql': 'CREATE TABLE counter (n int);\nINSERT INTO counter VALUES (0);\nCREATE TABLE kept (id int);',
      '0002_add.sql': 'UPDATE counter SET n = n + 100;',
      '0003_odd.sql': `SELECT 'it\\'s';\nUPDATE counter SET n = n + 1;\n${text}`,
    },
  });
  await fleet.db.query(`alter database ${fleet.db.name} set standard_conforming_strings to off`);
  await fleet.run('migrate --all --to 0001');
  return fleet;
}

test.each(['COMMIT; BEGIN;', 'COMMIT AND CHAIN;'])(
  'after %s in SQL that the parser does not know nothing is tried again, and what stays is told',
  async (text) => {
    const fleet = await unparsedFleet(`${text}\nALTER TABLE kept ADD x int;`);
    const lock = await holdTable(fleet.db, 'tenant_t01.kept');
    const locked = (await fleet.json('migrate --all --lock-timeout 50ms --tries 3')).of('t01');
    expect(locked).toMatchObject({
      error: {
        sqlState: '55P03',
        detail: expect.stringMatching(/committed by the migrations themselves, .*: 0002_add, 0003_odd$/),
        hint: expect.stringContaining('undo by hand'),
      },
    });
    expect(locked).not.toHaveProperty('attempts');
    expect(await fleet.db.query('select n from tenant_t01.counter')).toEqual([{ n: 101 }]);
    await lock.release();

    // Nor is it recorded when all goes well: the history would hold what another transaction did.
    await fleet.db.query('update tenant_t01.counter set n = 0');
    const ran = (await fleet.json('migrate --all')).of('t01');
    expect(ran.error).toMatchObject({
      code: 'transaction-ended',
      file: 'migrations/0003_odd.sql',
      detail: expect.stringContaining('0002_add, 0003_odd'),
    });
    expect(await fleet.history('tenant_t01')).toEqual(['0001_n']);
  },
);

test('a COMMIT that the parser takes for a part of a text is found before the history is written', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: { '0001_a.sql': "CREATE TABLE a (id int);\nSELECT '\\''; COMMIT; BEGIN; --';" },
  });
  await fleet.db.query(`alter database ${fleet.db.name} set standard_conforming_strings to off`);
  expect((await fleet.json('migrate --all')).of('t01').error).toMatchObject({
    code: 'transaction-ended',
    detail: expect.stringContaining('0001_a'),
  });
  expect(await fleet.history('tenant_t01')).toEqual([]);
});

test.each(['ROLLBACK; BEGIN;', 'ROLLBACK AND CHAIN;'])(
  '%s in SQL that the parser does not know: what it undid is not recorded',
  async (text) => {
    const fleet = await unparsedFleet(text);
    expect((await fleet.json('migrate --all')).of('t01').error).toMatchObject({
      code: 'transaction-ended',
      file: 'migrations/0003_odd.sql',
    });
    expect(await fleet.history('tenant_t01')).toEqual(['0001_n']);
  },
);

test('ROLLBACK in SQL that the parser does not know never gets into the history', async () => {
  const fleet = await createFleet({
    schemas: 1,
    // Backslashes escape only on a server that is told so: nothing that reads the file alone can know.
    migrations: {
      '0001_a.sql': 'CREATE TABLE a (id int);',
      '0002_b.sql': "SELECT 'it\\'s'; ROLLBACK;",
      '0003_c.sql': 'CREATE TABLE c (id int);',
    },
  });
  await fleet.db.query(`alter database ${fleet.db.name} set standard_conforming_strings to off`);
  const report = await fleet.json('migrate --all');
  expect(report.of('t01')).toMatchObject({
    status: 'failed',
    error: { code: 'transaction-ended', file: 'migrations/0002_b.sql' },
  });
  expect(await fleet.tables()).toEqual([]);
  expect(await fleet.history('tenant_t01')).toBeNull();
});

test('a file that a migration does not find is no word about the server', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: { '0001_a.js': 'exports.up = () => { require("fs").readFileSync("/nowhere/at/all"); };' },
  });
  const { error } = (await fleet.json('migrate --all')).of('t01');
  expect(error).toMatchObject({ code: 'ENOENT', file: 'migrations/0001_a.js' });
  expect(error).not.toHaveProperty('hint');
});

test('no further step is sent when the time is up between two', async () => {
  const fleet = await createFleet({
    schemas: 1,
    migrations: {
      // A handler in the database keeps the cancelled step from failing.
      '0001_a.js': `exports.up = (pgm) => {
  pgm.sql("DO $$ BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END $$");
  pgm.sql("DO $$ BEGIN RAISE 'sent'; END $$");
};`,
    },
  });
  const { error } = (await fleet.json('migrate --all --timeout 300ms')).of('t01');
  expect(error).toMatchObject({ code: 'timeout' });
  expect(error).not.toHaveProperty('sqlState');
});

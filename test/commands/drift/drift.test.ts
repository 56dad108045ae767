import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import { databaseUrl } from '../../support/database.ts';
import { createFleet, type TestFleet } from '../../support/fleet.ts';
import { type CliResult, jsonOf } from '../../support/run-cli.ts';

const migrations = {
  '0001_tables.sql': `
create table users (id integer primary key, email text not null, age integer check (age > 0));
create table tasks (id integer primary key, user_id integer references users, due date);
create index tasks_due_idx on tasks (due);
create index tasks_user_idx on tasks (user_id);
create table invoices (id integer primary key, total numeric);
alter table invoices enable row level security;
create table notes (a text, b text);
create function total(integer) returns integer language plpgsql as $$
begin
  -- adds one
  return $1 + 1;
end
$$;`,
};

/** What was done by hand, by tenant. */
const plants: Readonly<Record<string, string>> = {
  t03: 'drop index tasks_due_idx',
  t04: 'drop index tasks_due_idx',
  t05: 'drop index tasks_due_idx; alter table users add column tmp text',
  t06: 'alter table invoices disable row level security',
  t07: "update pg_index set indisvalid = false where indexrelid = 'tasks_user_idx'::regclass",
  t08: 'drop table notes; create table notes (b text, a text)',
  t09: 'create or replace function total(integer) returns integer language plpgsql as $$\nbegin\n  -- adds one\n  return $1 + 2;\nend\n$$',
  t10: "comment on table users is 'made by hand'",
};

let fleet: TestFleet;

beforeAll(async () => {
  fleet = await createFleet({ schemas: 50, migrations, until: 'file' });
  const { exitCode } = await fleet.run('migrate --all');
  expect(exitCode).toBe(0);
  for (const [tenant, sql] of Object.entries(plants)) {
    await fleet.db.query(`set search_path = tenant_${tenant}; ${sql}; reset search_path`);
  }
});

interface Value {
  readonly group: number;
  readonly against: string;
  readonly version: string;
  readonly classes: Readonly<Record<string, number>>;
  readonly differences: readonly { readonly class: string; readonly change: string; readonly text: string }[];
  readonly accepted: number;
}

interface Document {
  readonly exitCode: number;
  readonly totals: { readonly done: number; readonly failed: number; readonly findings: number };
  readonly groups: readonly {
    readonly number: number;
    readonly tenants: readonly string[];
    readonly differences: readonly {
      readonly kind: string;
      readonly name: string;
      readonly attributes: readonly { readonly name: string; readonly reference: unknown; readonly actual: unknown }[];
      readonly reference: Readonly<Record<string, unknown>> | null;
      readonly actual: Readonly<Record<string, unknown>> | null;
    }[];
    readonly accepted: readonly { readonly kind: string; readonly reason: string; readonly until: string }[];
  }[];
  readonly staleEntries: readonly { readonly state: string; readonly tenants: readonly string[] }[];
  readonly outcomes: readonly {
    readonly tenant: string;
    readonly status: string;
    readonly finding?: boolean;
    readonly value?: Value;
    readonly error?: { readonly code?: string; readonly message: string };
  }[];
}

interface Report extends Document {
  readonly of: (tenant: string) => Document['outcomes'][number];
}

function reportOf(result: CliResult): Report {
  const document = jsonOf<Document>(result);
  expect(result.exitCode).toBe(document.exitCode);
  return { ...document, of: (tenant) => document.outcomes.find((outcome) => outcome.tenant === tenant)! };
}

async function json(argv: string): Promise<Report> {
  return reportOf(await fleet.run(`drift ${argv} --json`));
}

describe('drift over fifty tenants', () => {
  let report: Report;
  let text: string;
  let junit: string;

  beforeAll(async () => {
    // All from one scan.
    const result = await fleet.run('drift --all -o table -o json=report.json -o junit=report.xml');
    text = result.stdout;
    const read = (name: string) => readFile(join(fleet.folder, name), 'utf8');
    report = reportOf({ ...result, stdout: await read('report.json') });
    junit = await read('report.xml');
  });

  it('finds each planted difference in its tenant, in its class, and nothing in the others', () => {
    const found = report.outcomes
      .filter(({ value }) => value!.differences.length > 0)
      .map(({ tenant, finding, value }) => {
        return [tenant, finding, ...value!.differences.map((each) => `${each.class}: ${each.text}`)];
      });
    expect(found).toEqual([
      ['t03', true, 'structural: lacks index tasks_due_idx on tasks'],
      ['t04', true, 'structural: lacks index tasks_due_idx on tasks'],
      [
        't05',
        true,
        'structural: lacks index tasks_due_idx on tasks',
        'structural: has an extra column users.tmp (text)',
      ],
      ['t06', true, 'security: table invoices has row security off'],
      ['t07', true, 'broken: index tasks_user_idx on tasks is not valid'],
      ['t08', false, 'cosmetic: the order of the columns of notes differs'],
      ['t09', true, 'structural: function total(integer) has another definition'],
      ['t10', false, 'cosmetic: has an extra comment of table users'],
    ]);
    expect(report).toMatchObject({ exitCode: 1, totals: { done: 50, failed: 0, findings: 6 } });
    expect(report.of('t01')).toMatchObject({ finding: false, value: { against: 'majority', version: '0001_tables' } });
    expect(report.of('t05').value).toMatchObject({ classes: { structural: 2, security: 0, broken: 0, cosmetic: 0 } });
  });

  it('puts equal tenants into one group, the smallest last, with both definitions', () => {
    const { groups, of } = report;
    expect(groups.map(({ tenants }) => tenants.length)).toEqual([42, 2, 1, 1, 1, 1, 1, 1]);
    expect(groups[0]!.tenants.filter((tenant) => tenant in plants)).toEqual([]);
    expect(groups[1]).toMatchObject({ number: 2, tenants: ['t03', 't04'] });
    expect(groups[1]!.differences).toMatchObject([
      {
        kind: 'index',
        name: 'tasks_due_idx',
        actual: null,
        reference: { definition: expect.stringContaining('(due)') },
      },
    ]);
    const [changed] = groups[of('t09').value!.group - 1]!.differences;
    expect(changed!.attributes).toMatchObject([
      { reference: expect.stringContaining('$1 + 1'), actual: expect.stringContaining('$1 + 2') },
    ]);
  });

  it('tells people what it found', () => {
    expect(text).toContain('environment test: 50 tenants in 8 shapes, against the majority of each version\n');
    expect(text).toContain('\n  3 lack index tasks_due_idx on tasks (structural)\n');
    expect(text).toContain('\n42 tenants alike, the reference: t01, t02, t11 and 39 more\n');
    expect(text).toContain(
      '\n2 tenants, structural: t03 and t04\n  lacks index tasks_due_idx on tasks\n      - CREATE',
    );
    expect(text).toMatch(/\n {6}- {2}return \$1 \+ 1;\n {6}\+ {2}return \$1 \+ 2;\n/);
    expect(text).toMatch(/\n50 tenants: 50 done, 6 findings in .*\n$/);
    expect(text).not.toContain('TENANT');
  });

  it('gives CI a case for each tenant, a failure with its differences', () => {
    expect(junit.match(/<testcase /g)).toHaveLength(50);
    expect(junit.match(/<failure /g)).toHaveLength(6);
    expect(junit).toMatch(
      /name="t05"[^>]*>\s*<failure[^>]*lacks index tasks_due_idx on tasks; has an extra column users.tmp/,
    );
  });

  it('with --verbose names all, and gives each a line', async () => {
    const { stdout } = await fleet.run('drift -t t0* t11 --verbose');
    expect(stdout).toContain('3 tenants alike, the reference: t01, t02, t11\n');
    expect(stdout).toMatch(/^t06 +\d+ +security +table invoices has row security off$/m);
    expect(stdout).toMatch(/^t11 +1 +- +-$/m);
  });

  it('with --quiet prints a line for each finding, and nothing when there is none', async () => {
    const found = await fleet.run('drift -t t0* --quiet --against tenant:t01');
    const lines = found.stdout.split('\n').filter((line) => /^t\d/.test(line));
    expect(lines.map((line) => line.slice(0, 3))).toEqual(['t03', 't04', 't05', 't06', 't07', 't09']);
    expect(await fleet.run('drift -t t1* --quiet --against tenant:t11')).toMatchObject({ exitCode: 0, stdout: '' });
  });
});

// Where the majority does not matter, another reference is quicker: only the selected are read for it.
describe('--fail-on', () => {
  it.each([
    ['broken', ['t07']],
    ['security', ['t06']],
    ['cosmetic', ['t08', 't10']],
    ['security, broken', ['t06', 't07']],
    ['none', []],
  ])('%s makes findings of just these: %s', async (classes, expected) => {
    const result = await fleet.run([
      'drift',
      '-t',
      't0*',
      't10',
      '--against',
      'tenant:t01',
      '--json',
      '--fail-on',
      classes,
    ]);
    const { outcomes } = jsonOf<Document>(result);
    expect(outcomes.filter(({ finding }) => finding === true).map(({ tenant }) => tenant)).toEqual(expected);
    expect(result.exitCode).toBe(expected.length > 0 ? 1 : 0);
  });
});

describe('accepted differences', () => {
  const accept = (entries: readonly Readonly<Record<string, unknown>>[]) =>
    // JSON is YAML.
    writeFile(join(fleet.folder, 'accepted.yaml'), JSON.stringify({ version: 1, accepted: entries }));
  const entry = { tenants: ['t0*'], kind: 'index', name: 'tasks_due_idx', reason: 'slow disk', until: '2999-12-31' };

  it('are no findings, are told with their reason, and leave what else differs', async () => {
    await accept([entry, { ...entry, tenants: ['t02'], name: 'never' }]);
    const report = await json('-t t0* --against tenant:t01 --accepted accepted.yaml');
    expect(report.of('t03')).toMatchObject({ finding: false, value: { differences: [], accepted: 1 } });
    expect(report.of('t05')).toMatchObject({ finding: true, value: { accepted: 1 } });
    expect(report.of('t05').value!.differences).toMatchObject([{ text: 'has an extra column users.tmp (text)' }]);
    expect(report.staleEntries).toMatchObject([{ state: 'unused' }]);
    const { stdout } = await fleet.run('drift -t t0* --against tenant:t01 --accepted accepted.yaml');
    expect(stdout).toContain('2 tenants, only accepted differences: t03 and t04\n');
    expect(stdout).toContain('  accepted until 2999-12-31, lacks index tasks_due_idx on tasks: slow disk\n');
  });

  it('hold for those that they name, so that tenants of one shape can be judged differently', async () => {
    await accept([{ ...entry, tenants: ['t03'] }]);
    const report = await json('-t t0* --against tenant:t01 --accepted accepted.yaml');
    expect([report.of('t03').finding, report.of('t04').finding]).toEqual([false, true]);
  });

  it('count no more when their day is over, and the report says so', async () => {
    await accept([{ ...entry, until: '2026-01-01' }]);
    const options = { now: () => new Date('2026-01-02T00:00:00Z') };
    const report = await fleet.run('drift -t t0* --against tenant:t01 --accepted accepted.yaml', options);
    expect(report.stdout).toContain('2 tenants, structural: t03 and t04\n');
    expect(report.stdout).toContain(
      'index tasks_due_idx was accepted until 2026-01-01, which is over: counts again for t03, t04 and t05',
    );
  });

  it('come from the inventory, and a mistake in them is told with its place', async () => {
    await fleet.writeInventory({ drift: { accepted: './accepted.yaml' } });
    await accept([entry]);
    expect((await json('-t t0* --against tenant:t01')).of('t03').finding).toBe(false);
    await accept([{ ...entry, until: 'soon' }]);
    const wrong = await fleet.run('drift --all');
    await fleet.writeInventory({});
    expect(wrong.exitCode).toBe(2);
    expect(wrong.stderr).toMatch(
      /accepted\.yaml:1:\d+ accepted\[0\]\.until: expected a date such as 2027-03-31, got "soon"/,
    );
  });
});

describe('what cannot be compared', () => {
  it('is an outcome of its own: the others are compared all the same', async () => {
    const missing = { id: 'gone', server: 'main', database: fleet.db.name, schema: 'nowhere' };
    await fleet.writeInventory({ tenants: [missing] });
    const report = await json('-t t01 t02 gone --against tenant:t01 --fail-on none');
    await fleet.writeInventory({});
    expect(report).toMatchObject({ exitCode: 3, totals: { done: 2, failed: 1 } });
    expect(report.of('gone')).toMatchObject({ status: 'failed', error: { code: 'schema-missing' } });
  });
});

describe('--against tenant:<id>', () => {
  it('turns the view around', async () => {
    const report = await json('-t t01 t05 --against tenant:t05');
    expect(report.of('t05').value!.differences).toEqual([]);
    expect(report.of('t01').value!.differences.map(({ text }) => text)).toEqual([
      'has an extra index tasks_due_idx on tasks',
      'lacks column users.tmp (text)',
    ]);
  });
});

describe('--against schema:<name>', () => {
  it('holds tenants of one shape to the template of each one’s own database', async () => {
    const two = await createFleet({ databases: 2 });
    const users = 'create table users (id integer)';
    for (const [index, name] of two.databases.entries()) {
      const client = new pg.Client(databaseUrl(name));
      await client.connect();
      await client.query(`${users}; create schema template; set search_path = template; ${users}`);
      if (index === 1) await client.query('alter table users add column email text');
      await client.end();
    }
    const report = reportOf(await two.run('drift --all --against schema:template --json'));
    expect(report.outcomes.map(({ finding, value }) => [finding, value!.differences.map(({ text }) => text)])).toEqual([
      [false, []],
      [true, ['lacks column users.email (text)']],
    ]);
  });
});

describe('wrong input', () => {
  it.each([
    ['--all --against minority', '--against does not know "minority"'],
    ['--all --against tenant:', '--against does not know "tenant:"'],
    ['--all --fail-on broken,ugly', '--fail-on does not know "ugly"'],
    ['--all --fail-on none,broken', '--fail-on does not know "none"'],
    ['--all --accepted nowhere.yaml', 'cannot read the accepted differences in nowhere.yaml: ENOENT'],
    ['-t t01 --against tenant:nobody', 'no tenant to compare with is called'],
    ['', 'no tenant is selected'],
  ])('drift %s', async (argv, message) => {
    const { exitCode, stderr, stdout } = await fleet.run(`drift ${argv}`);
    expect(stderr).toContain(message);
    expect([exitCode, stdout]).toEqual([2, '']);
  });
});

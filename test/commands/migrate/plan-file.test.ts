import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished, test } from 'vitest';
import { checkPlan, folderOfPlan, selectByPlan } from '../../../src/commands/migrate/check-plan.ts';
import { type MigrationJob, planJob } from '../../../src/commands/migrate/migration-job.ts';
import {
  makePlan,
  type PlanFile,
  planSchema,
  readPlanFile,
  writePlanFile,
} from '../../../src/commands/migrate/plan-file.ts';
import { RefusedError, UsageError } from '../../../src/errors.ts';
import type { Tenant } from '../../../src/fleet/tenant.ts';
import { decideUp } from '../../../src/migrations/decide.ts';
import { type MigrationFolder, readFolder } from '../../../src/migrations/folder.ts';
import { compareToFolder } from '../../../src/migrations/plan.ts';
import { createFleet } from '../../support/fleet.ts';
import { threeTables } from '../../support/migrations.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenantctl-plan-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'm'));
  await mkdir(join(folder, 's'));
  for (const name of ['0001_a', '0002_b']) await write('m', name, `SELECT '${name}';`);
  await write('s', '0001_s', 'SELECT 1;');
});

function write(below: 'm' | 's', name: string, text: string | null): Promise<void> {
  const file = join(folder, below, `${name}.sql`);
  return text === null ? rm(file) : writeFile(file, text);
}

function tenant(id: string, place: Partial<Tenant> = {}): Tenant {
  return {
    id,
    server: 'main',
    database: 'saas',
    schema: `s_${id}`,
    labels: {},
    searchPath: [`s_${id}`],
    role: null,
    ...place,
  };
}

/** How tenants stand: names in their histories, and what their histories hash to. */
type Standing = readonly [tenant: Tenant, applied: readonly string[], hash?: string];

function job(standings: readonly Standing[], from: MigrationFolder, isShared = false): MigrationJob {
  const outcomes = standings.map(([tenant, applied, hash = applied.join()]) => ({
    tenant,
    status: 'done' as const,
    durationMs: 0,
    value: {
      place: { schemaExists: true, tableExists: true, hasChecksum: true },
      fingerprint: { count: applied.length, hash },
      standing: compareToFolder(
        applied.map((name) => ({ name, checksum: null, run: null })),
        from,
      ),
    },
  })) as unknown as Parameters<typeof planJob>[0]['outcomes'];
  const tenants = standings.map(([each]) => each);
  const everything = { to: null, count: null };
  return planJob({ folder: from, tenants, outcomes, isShared }, 'up', (standing) =>
    decideUp(standing, from, everything, true),
  );
}

const read = (below: 'm' | 's' = 'm') => readFolder(join(folder, below), folder);
const [a, b, c] = [tenant('a'), tenant('b'), tenant('c')];
const shared = tenant('shared:main/saas/public', { schema: 'public' });

function jobs(standings: readonly Standing[], sharedApplied: readonly string[] = []) {
  return { tenants: job(standings, read()), shared: [job([[shared, sharedApplied]], read('s'), true)] };
}

function planOf(planned: ReturnType<typeof jobs>, rejected: readonly Tenant[] = []): PlanFile {
  const target = { to: null, count: null, checkOrder: true };
  return makePlan(planned, { environment: 'test', target, now: new Date(0), rejected });
}

const first: readonly Standing[] = [
  [a, []],
  [b, ['0001_a']],
  [c, ['0001_a', '0002_b']],
];

/** The details of a refusal; empty when nothing is refused. */
function refused(plan: PlanFile, now: ReturnType<typeof jobs>): readonly string[] {
  try {
    checkPlan(plan, now);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(RefusedError);
    expect((error as RefusedError).hint).toContain('tenantctl migrate plan --out');
    return (error as RefusedError).details;
  }
}

describe('the file', () => {
  it('holds who stands where and what would run', async () => {
    const plan = planOf(jobs(first), [tenant('d')]);
    await writePlanFile('plan.json', folder, plan);
    expect(await readPlanFile('plan.json', folder)).toEqual(plan);
    expect(JSON.parse(await readFile(join(folder, 'plan.json'), 'utf8'))).toEqual({
      schema: 'tenantctl-plan/1',
      environment: 'test',
      createdAt: '1970-01-01T00:00:00.000Z',
      target: { to: null, count: null, checkOrder: true },
      files: ['0001_a', '0002_b'].map((name) => ({ name, checksum: expect.stringMatching(/^[0-9a-f]{64}$/) })),
      tenants: [
        {
          id: 'a',
          server: 'main',
          database: 'saas',
          schema: 's_a',
          history: '0:',
          from: null,
          to: '0002_b',
          migrations: ['0001_a', '0002_b'],
        },
        {
          id: 'b',
          server: 'main',
          database: 'saas',
          schema: 's_b',
          history: '1:0001_a',
          from: '0001_a',
          to: '0002_b',
          migrations: ['0002_b'],
        },
        {
          id: 'c',
          server: 'main',
          database: 'saas',
          schema: 's_c',
          history: null,
          from: '0002_b',
          to: '0002_b',
          migrations: [],
        },
      ],
      leftOut: ['d'],
      shared: [
        {
          files: [{ name: '0001_s', checksum: expect.any(String) }],
          schemas: [expect.objectContaining({ schema: 'public', migrations: ['0001_s'] })],
        },
      ],
    });
  });

  it('appears whole or not at all', async () => {
    await writePlanFile('plan.json', folder, planOf(jobs(first)));
    await writePlanFile('plan.json', folder, planOf(jobs([[a, []]])));
    expect((await readPlanFile('plan.json', folder)).tenants).toHaveLength(1);
    await mkdir(join(folder, 'taken'));
    for (const name of ['no/such/plan.json', 'taken']) {
      await expect(writePlanFile(name, folder, planOf(jobs(first)))).rejects.toThrow(UsageError);
    }
    expect((await readdir(folder)).filter((name) => name.endsWith('.partial'))).toEqual([]);
  });

  it.each([
    ['', /it is not a plan/],
    ['{', /it is not a plan/],
    ['null', /it is not a plan/],
    ['[]', /it is not a plan/],
    ['{"schema":"tenantctl/1"}', /it is of the format "tenantctl\/1", this tenantctl reads "tenantctl-plan\/1"/],
    [`{"schema":"${planSchema}"}`, /it is not a plan, or it is damaged/],
  ])('%j is told to be none', async (text, message) => {
    await writeFile(join(folder, 'plan.json'), text);
    const reading = readPlanFile('plan.json', folder);
    await expect(reading).rejects.toThrow(UsageError);
    await expect(reading).rejects.toThrow(message);
  });

  it.each<readonly [string, (plan: Record<string, unknown>) => void]>([
    ['no tenants', (plan) => delete plan.tenants],
    ['a tenant without an id', (plan) => delete (plan.tenants as Record<string, unknown>[])[0]!.id],
    ['migrations that are no names', (plan) => ((plan.tenants as Record<string, unknown>[])[0]!.migrations = [1])],
    ['a file without a checksum', (plan) => delete (plan.files as Record<string, unknown>[])[0]!.checksum],
    ['a target that is none', (plan) => (plan.target = { to: 1 })],
    ['shared schemas that are none', (plan) => (plan.shared = [{}])],
  ])('with %s is damaged', async (_, damage) => {
    const plan = structuredClone(planOf(jobs(first))) as unknown as Record<string, unknown>;
    damage(plan);
    await writeFile(join(folder, 'plan.json'), JSON.stringify(plan));
    await expect(readPlanFile('plan.json', folder)).rejects.toThrow(/it is not a plan, or it is damaged/);
  });

  it('that is missing is told', async () => {
    await expect(readPlanFile('gone.json', folder)).rejects.toThrow(/cannot read the plan gone.json: ENOENT/);
  });
});

describe('selecting by a plan', () => {
  const plan = () => planOf(jobs([...first, [tenant('old'), []]]), [tenant('d')]);

  it('takes its tenants, and names the others', () => {
    expect(selectByPlan(plan(), 'test', [c, a, tenant('new'), b, tenant('d')])).toEqual({
      tenants: [c, a, b],
      bornSince: ['new'],
      leftOut: ['d'],
      gone: ['old'],
    });
  });

  it('refuses another environment', () => {
    expect(() => selectByPlan(plan(), 'production', [])).toThrow(RefusedError);
    expect(() => selectByPlan(plan(), 'production', [])).toThrow(/the environment test, this is production/);
  });
});

describe('checking a plan', () => {
  it('lets pass what is as it was', () => {
    expect(refused(planOf(jobs(first)), jobs(first))).toEqual([]);
    // Tenants that are gone, or not selected, are no reason.
    expect(refused(planOf(jobs(first)), jobs(first.slice(1)))).toEqual([]);
  });

  it('refuses when a file that would run was changed or is gone', async () => {
    const plan = planOf(jobs(first));
    await write('m', '0002_b', 'SELECT 2;');
    expect(refused(plan, jobs(first))).toEqual(['m/0002_b.sql was changed since the plan was made']);
    await write('m', '0002_b', null);
    expect(refused(plan, jobs([[a, []]]))).toContain('migration 0002_b is not in the folder any more');
    await write('s', '0001_s', 'SELECT 3;');
    expect(refused(plan, jobs([]))).toContain('s/0001_s.sql was changed since the plan was made');
  });

  it('does not mind files that it does not run', async () => {
    const plan = planOf(jobs([[b, ['0001_a']]]));
    await write('m', '0001_a', 'SELECT 1; -- edited');
    expect(refused(plan, jobs([[b, ['0001_a']]]))).toEqual([]);
  });

  it.each<readonly [string, readonly Standing[], readonly string[]]>([
    ['migrated in part', [[a, ['0001_a']]], ['1 tenant planned from no history, now at 0001_a: a']],
    [
      'migrated, and by something else',
      [[a, ['0000_other', '0001_a', '0002_b']]],
      ['1 tenant planned from no history, now at 0002_b: a'],
    ],
    [
      'diverged',
      [[b, ['0000_other', '0001_a']]],
      [
        '1 tenant that cannot be planned any more (0000_other was applied and is not in the folder, which has 0002_b pending): b',
      ],
    ],
    ['taken back since', [[c, ['0001_a']]], ['1 tenant planned from 0002_b, now at 0001_a: c']],
    ['of another history', [[b, ['0001_a'], 'other']], ['1 tenant at 0001_a with another history than planned: b']],
    ['moved', [[tenant('b', { database: 'other' }), ['0001_a']]], ['1 tenant moved to another place since: b']],
    ['unknown', [[tenant('new'), []]], ['1 tenant not in the plan: new']],
  ])('refuses a tenant that was %s', (_, now, details) => {
    expect(refused(planOf(jobs(first)), jobs(now))).toEqual(details);
  });

  it('takes a tenant for done that stands where the plan would have brought it', () => {
    const done = ['0001_a', '0002_b'];
    const now = jobs([[a, done], [b, done], ...first.slice(2)], ['0001_s']);
    expect(refused(planOf(jobs(first)), now)).toEqual([]);
  });

  it('names three of many, and how many there are', () => {
    const many = Array.from({ length: 12 }, (_, index) => tenant(`t${index}`));
    const plan = planOf(jobs(many.map((each): Standing => [each, []])));
    expect(refused(plan, jobs(many.map((each): Standing => [each, ['0001_a']])))).toEqual([
      '12 tenants planned from no history, now at 0001_a: t0, t1, t2 and 9 more',
    ]);
  });

  it('refuses a shared schema that stands elsewhere, or would run a file that was not reviewed', async () => {
    const plan = planOf(jobs(first));
    expect(refused(plan, jobs(first, ['0000_other', '0001_s']))).toEqual([
      '1 shared schema planned from no history, now at 0001_s: shared:main/saas/public',
    ]);
    await write('s', '0002_new', 'SELECT 1;');
    expect(refused(plan, jobs(first))).toHaveLength(1);
  });

  it('leaves files alone that were added since', async () => {
    const plan = planOf(jobs(first));
    await write('m', '0003_new', 'SELECT 3;');
    await write('m', '0001_b_between', 'SELECT 3;');
    expect(refused(plan, jobs(first))).not.toEqual([]);
    const reviewed = folderOfPlan(plan, read());
    expect(reviewed.migrations.map(({ name }) => name)).toEqual(['0001_a', '0002_b']);
    expect([...reviewed.byName.keys()]).toEqual(['0001_a', '0002_b']);
    expect(refused(plan, { ...jobs(first), tenants: job(first, reviewed) })).toEqual([]);
  });
});

test('migrate plan --out writes what readPlanFile reads, also when there are hazards', async () => {
  const fleet = await createFleet({ schemas: 3, migrations: { ...threeTables, '0004_drop.sql': 'DROP TABLE gone;' } });
  await fleet.run('migrate -t t02 --to 0003');
  const { exitCode, stdout } = await fleet.run('migrate plan --all --except t03 --out plan.json');
  expect([exitCode, stdout.includes('! drop-table gone')]).toEqual([1, true]);
  const plan = await readPlanFile('plan.json', fleet.folder);
  expect(plan).toMatchObject({ environment: 'test', target: { to: null, count: null, checkOrder: true }, leftOut: [] });
  expect(plan.tenants.map(({ id, from, migrations }) => [id, from, migrations.length])).toEqual([
    ['t01', null, 4],
    ['t02', '0003_three', 1],
  ]);
});

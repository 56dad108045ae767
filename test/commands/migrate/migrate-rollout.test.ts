import { describe, expect, it, test } from 'vitest';
import { makeBarrier, passBarrier, patientTimeouts } from '../../support/barrier.ts';
import { createFleet, readReport } from '../../support/fleet.ts';
import { tableMigration } from '../../support/migrations.ts';

const one = { '0001_one.sql': tableMigration('one') };

describe('waves', () => {
  it('go one after the other, canary first, and the report says which', async () => {
    const fleet = await createFleet({ schemas: 10, migrations: one });
    const { exitCode, stderr } = await fleet.run('migrate --all --canary 1 --waves 20%,50%');
    expect(exitCode).toBe(0);
    const waves = stderr.split('\n').flatMap((line) => /note: (.*)$/.exec(line)?.[1] ?? []);
    expect(waves).toEqual([
      'canary: 1 tenant',
      'wave 1 of 3 (20%): 1 tenant',
      'wave 2 of 3 (50%): 3 tenants',
      'wave 3 of 3: 5 tenants',
    ]);
  });

  it('of the inventory go by labels, and flags beat them', async () => {
    const fleet = await createFleet({
      migrations: one,
      inventory: { rollout: { waves: ['tier=free', '100%'], maxFailures: 1 } },
    });
    await fleet.db.query(['a', 'b', 'c'].map((id) => `create schema tenant_${id}`).join(';'));
    const tier = { a: 'gold', b: 'free', c: 'free' };
    const tenants = Object.entries(tier).map(([id, name]) => {
      return { id, server: 'main', database: fleet.db.name, schema: `tenant_${id}`, labels: { tier: name } };
    });
    await fleet.writeInventory({ tenants });
    await fleet.db.query('create table tenant_b.one (id int)');
    const report = await fleet.json('migrate --all --concurrency 1');
    expect(report.summary).toBe('a skipped, b failed, c skipped');
    const flagged = await fleet.json('migrate --all --concurrency 1 --waves 100% --max-failures 5');
    expect(flagged.summary).toBe('a done, b failed, c done');
  });

  it.each([
    ['--waves 10%,half', '--waves takes shares, not "half"'],
    ['--waves tier=free', '--waves takes shares, not "tier=free"'],
    ['--soak long', '--soak takes a duration'],
  ])('%s is a mistake of the caller', async (flags, message) => {
    const fleet = await createFleet({ schemas: 1, migrations: one });
    const { exitCode, stderr } = await fleet.run(`migrate --all ${flags}`);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});

describe('between two waves', () => {
  const unhealthy = 'select count(*) as broken from one having count(*) > 0';

  it('the health check asks all that were migrated so far, and stops the run where a row comes back', async () => {
    const fleet = await createFleet({
      schemas: 6,
      migrations: {
        '0001_one.sql': 'CREATE TABLE one (id int);\nINSERT INTO one SELECT 1 WHERE current_schema() = $$tenant_t02$$;',
      },
    });
    const words = ['migrate', '--all', '--waves', '1,2,4', '--health-sql', unhealthy, '--json'];
    const report = readReport(await fleet.run(words));
    expect(report.summary).toBe('t01 done, t02 done, t03 skipped, t04 skipped, t05 skipped, t06 skipped');
    expect(report.exitCode).toBe(3);
    expect(report.of('t06').because).toMatch(/^health check: .*1 of 2 tenants.*t02 \(broken=1\)/);
  });

  it('after the last one it is a finding: there is nobody left to be kept from harm', async () => {
    const fleet = await createFleet({
      schemas: 2,
      migrations: { '0001_one.sql': 'CREATE TABLE one AS SELECT 1 AS id;' },
    });
    const { exitCode, stdout } = await fleet.run(['migrate', '--all', '--health-sql', unhealthy]);
    expect([exitCode, stdout]).toEqual([1, expect.stringContaining('health check: ')]);
    expect((await fleet.run(['migrate', '--all', '--health-sql', unhealthy])).exitCode).toBe(0);
  });

  it('the health command gets the tenants, and its exit code decides', async () => {
    const fleet = await createFleet({ schemas: 3, migrations: one });
    const command = 'test "$(cat)" = t01 && echo "too bad in $TENANTCTL_WAVE" && exit 7';
    const { exitCode, stdout } = await fleet.run(['migrate', '--all', '--waves', '1,2', '--health-command', command]);
    expect(exitCode).toBe(3);
    expect(stdout).toContain('too bad in 1/3');
    expect(await fleet.tables()).toEqual(['tenant_t01.one']);
  });

  it('the soak ends at Ctrl-C, and what comes after it is not started', async () => {
    const fleet = await createFleet({ schemas: 3, migrations: one });
    const running = fleet.start('migrate --all --canary 1 --soak 1h');
    await running.stderrHas('canary is done: waiting 1h, until ');
    running.signal('SIGINT');
    const { exitCode, stdout } = await running.ended;
    expect(exitCode).toBe(130);
    expect(stdout).toContain('2 tenants never started');
    expect(await fleet.tables()).toEqual(['tenant_t01.one']);
  });
});

test('tenants that were born during the run are migrated too, and are in its record', async () => {
  const migrations = { '0001_long.sql': `${passBarrier};`, '0002_one.sql': tableMigration('one') };
  const fleet = await createFleet({ schemas: 2, migrations, inventory: { timeouts: patientTimeouts } });
  const barrier = await makeBarrier(fleet.db);
  for (const flags of ['', ' --no-sweep']) {
    await barrier.close('tenant_t02');
    const running = fleet.start(`migrate --all --json${flags}`);
    await barrier.waiting(1);
    await fleet.db.query('create schema tenant_new');
    await barrier.open('tenant_t02');
    const report = readReport(await running.ended);
    if (flags === '') {
      expect(report.summary).toBe('t01 done, t02 done, new done');
      expect(report.stderr).toContain('1 tenant more since the run began: new');
      expect((await fleet.run(`runs show ${report.run} -v`)).stdout).toMatch(/^new +done/m);
    } else expect(report.summary).toBe('t01 done, t02 done');
    expect(await fleet.history('tenant_new')).toEqual(flags === '' ? ['0001_long', '0002_one'] : null);
    await fleet.db.query('drop schema tenant_new cascade');
    await fleet.run('migrate down --all --count 2 --fake --yes');
    await fleet.db.query('drop table tenant_t01.one, tenant_t02.one');
  }
});

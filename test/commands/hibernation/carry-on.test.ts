import { describe, expect, it } from 'vitest';
import { eventually } from '../../support/barrier.ts';
import { toFolder } from '../../support/dumps.ts';
import { createFleet } from '../../support/fleet.ts';
import { doneValue, dropRolesAtEnd } from '../../support/hibernated.ts';
import { openProxy } from '../../support/proxy.ts';
import { beginToSleep, hold, isOpen, rowOf, usedFleet } from '../../support/used-fleet.ts';

const sleepT01 = 'hibernate -t t01 --yes --scratch main';

describe('hibernate', () => {
  it('drops nothing that changed behind the fence, and gives it back; nothing that another run has taken over', async () => {
    const prefix = dropRolesAtEnd('app');
    const fleet = await usedFleet(2, prefix);
    // A superuser writes while the archive is tried out.
    const hibernating = fleet.start(`${sleepT01} -t t02 --json`);
    await eventually('the archive is tried out', async () => {
      const found = await fleet.db.query(
        `select 1 from pg_stat_activity where application_name like 'tenantctl/%/verify'`,
      );
      return found.length > 0 ? true : null;
    });
    await fleet.db.query(`insert into tenant_t01.notes (body) values ('late')`);
    await fleet.db.query(`update tenantctl.tenant set run = 'other' where schema = 'tenant_t02'`);
    const { exitCode, stdout } = await hibernating.ended;
    expect(exitCode).toBe(4);
    const codes = JSON.parse(stdout).outcomes.map(({ error }: { error: { code: string } }) => error.code);
    expect(codes).toEqual(['changed', 'taken-over']);
    expect([await rowOf(fleet), await rowOf(fleet, 'tenant_t02')]).toEqual([
      null,
      { state: 'hibernating', step: 'fenced' },
    ]);
    expect(await isOpen(fleet, prefix)).toBe(true);
    expect(await fleet.db.query('select body from tenant_t01.notes order by id')).toHaveLength(2);
  });

  it('opens the fence again when somebody keeps a transaction open, and names them', async () => {
    const prefix = dropRolesAtEnd('app');
    // A role of two tenants: its sessions are not this one's alone to end.
    const fleet = await usedFleet(2, prefix);
    const held = await hold(fleet, prefix);
    const report = await fleet.json(`${sleepT01} --drain 200ms`);
    expect(report.of('t01').error).toMatchObject({ code: 'busy', message: expect.stringContaining('shop') });
    expect([await rowOf(fleet), await isOpen(fleet, prefix)]).toEqual([null, true]);
    await held.query('commit');
  });

  it('gives back who is fenced and not dropped when it is stopped', async () => {
    const prefix = dropRolesAtEnd('app');
    const fleet = await usedFleet(2, prefix);
    const held = await hold(fleet, prefix);
    const running = fleet.start(`${sleepT01} --drain 10min --json`);
    await eventually('it is fenced', async () => (await rowOf(fleet).catch(() => null))?.step === 'fenced' || null);
    running.signal('SIGINT');
    const { exitCode, stdout } = await running.ended;
    expect([exitCode, JSON.parse(stdout).outcomes[0].status]).toEqual([
      130,
      expect.stringMatching(/interrupted|failed/),
    ]);
    expect([await rowOf(fleet), await isOpen(fleet, prefix)]).toEqual([null, true]);
    await held.query('commit');
  });

  it('carries on with what a killed run has fenced, and wake opens it', async () => {
    const prefix = dropRolesAtEnd('app');
    const fleet = await usedFleet(2, prefix);
    const begin = () => beginToSleep(fleet, prefix, sleepT01);
    await begin();
    expect([await rowOf(fleet), await isOpen(fleet, prefix)]).toEqual([
      { state: 'hibernating', step: 'fenced' },
      false,
    ]);
    expect(doneValue(await fleet.json('wake -t t01'), 't01').remarks).toEqual([
      expect.stringContaining('opened again'),
    ]);
    expect([await rowOf(fleet), await isOpen(fleet, prefix)]).toEqual([null, true]);
    await begin();
    expect(doneValue(await fleet.json(sleepT01), 't01')).toMatchObject({ how: 'archive', already: false });
    expect(await rowOf(fleet)).toMatchObject({ state: 'hibernated' });
    // A wake that was killed once it had said so, and one that had restored all of it.
    await fleet.db.query(`update tenantctl.tenant set state = 'waking', step = 'restoring'`);
    expect(doneValue(await fleet.json('wake -t t01'), 't01')).toMatchObject({ compared: 'structure and rows' });
    expect([await rowOf(fleet), await isOpen(fleet, prefix)]).toEqual([null, true]);
  });

  it('opens a database again when it is stopped before nobody is left in there', async () => {
    const proxy = await openProxy();
    const url = (database: string) => `postgres://postgres@127.0.0.1:${proxy.port}/${database}?sslmode=disable`;
    const fleet = await createFleet({ databases: 1, url });
    const running = fleet.start('hibernate -t d01 --how lock --json');
    let isClosing = false;
    proxy.watch((text) => {
      if (isClosing && text.includes('COMMIT')) running.signal('SIGINT');
      isClosing ||= text.includes('ALLOW_CONNECTIONS false');
      return 'pass';
    });
    const { exitCode, stdout } = await running.ended;
    expect([exitCode, JSON.parse(stdout).outcomes[0].status]).toEqual([130, expect.not.stringMatching(/done/)]);
    const open = 'select datallowconn as open from pg_database where datname = $1';
    expect(await fleet.db.query(open, fleet.databases)).toEqual([{ open: true }]);
    expect(doneValue(await fleet.json('wake -t d01'), 'd01').remarks).toEqual(['it is awake']);
  });

  it('refuses who cannot be kept out, and says why', async () => {
    const fleet = await createFleet({ schemas: 1, inventory: { ...toFolder, hibernate: { never: ['t01'] } } });
    expect((await fleet.json('hibernate -t t01 --yes')).of('t01').error?.code).toBe('refused-never');
    await fleet.writeInventory({ hibernate: {} });
    const without = await fleet.json('hibernate -t t01');
    expect(without.of('t01').error?.code).toBe('refused-unfenceable');
    expect((await fleet.json('hibernate -t t01 --how lock')).of('t01').error?.code).toBe('refused-lock');
  });

  it('asks before it drops, needs a place for archives, and plans without touching anything', async () => {
    const prefix = dropRolesAtEnd('app');
    const fleet = await usedFleet(1, prefix);
    const { exitCode } = await fleet.json('hibernate -t t01');
    expect(exitCode).toBe(5);
    const planned = await fleet.json('hibernate -t t01 --dry-run');
    expect([planned.exitCode, doneValue(planned, 't01').sizeAfterBytes]).toEqual([0, 0]);
    await fleet.writeInventory({ backups: {} });
    expect(await fleet.run('hibernate -t t01 --yes')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('backups: { to:'),
    });
    expect(await fleet.db.query(`select 1 from pg_namespace where nspname = 'tenantctl'`)).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { runCli } from '../../support/run-cli.ts';
import { createBackedUp, fingerprint, restoredOf } from './restored.ts';

describe('restore --data-only', () => {
  it('puts rows back into an empty table, parents first, and into no other', async () => {
    const fleet = await createBackedUp();
    const others = await fingerprint(fleet, ['tenant_t01']);
    await fleet.db.query(`
      delete from tenant_t01.tasks; delete from tenant_t01.users;
      alter table tenant_t01.tasks add column colour text default 'red'`);
    const report = await fleet.json('restore -t t01 --data-only --table tasks users');
    expect(restoredOf(report, 't01')).toMatchObject({ rows: 40, tables: 2, swapped: false });
    expect(restoredOf(report, 't01').remarks).toContainEqual(expect.stringContaining('colour came after the backup'));
    expect(await fleet.db.query("select from tenant_t01.tasks where colour = 'red'")).toHaveLength(20);
    expect(await fleet.db.query('select from tenant_t01.users')).toHaveLength(20);
    expect(await fingerprint(fleet, ['tenant_t01'])).toEqual(others);
  });

  it('replaces only when that is said and confirmed', async () => {
    const fleet = await createBackedUp({ schemas: 1 });
    await fleet.db.query("update tenant_t01.tasks set title = 'gone'");
    const full = await fleet.json('restore -t t01 --data-only --table tasks');
    expect(full.of('t01').error).toMatchObject({ code: 'not-empty' });
    expect((await fleet.run('restore -t t01 --data-only --table tasks --replace')).exitCode).toBe(5);
    expect(await fleet.db.query("select from tenant_t01.tasks where title = 'gone'")).toHaveLength(20);
    const report = await fleet.json('restore -t t01 --data-only --table tasks --replace --yes');
    expect(report.summary).toBe('t01 done');
    expect(await fleet.db.query("select from tenant_t01.tasks where title like 'task %'")).toHaveLength(20);
  });

  it('sets sequences forward and never back', async () => {
    const fleet = await createBackedUp({ schemas: 1 });
    await fleet.db.query(`
      truncate tenant_t01.tasks, tenant_t01.users restart identity;
      select setval('tenant_t01.users_id_seq', 500)`);
    await fleet.json('restore -t t01 --data-only --table users tasks --with-sequences');
    const [next] = await fleet.db.query(
      "select nextval('tenant_t01.users_id_seq')::int as users, nextval('tenant_t01.tasks_id_seq')::int as tasks",
    );
    expect(next).toEqual({ users: 501, tasks: 21 });
  });

  it('is undone when rows do not arrive as they were, or a column is gone', async () => {
    const fleet = await createBackedUp({ schemas: 1 });
    await fleet.db.query(`
      delete from tenant_t01.tasks; delete from tenant_t01.users;
      create function tenant_t01.drop_some() returns trigger language plpgsql as
        $$ begin if new.id = 7 then return null; end if; return new; end $$;
      create trigger drop_some before insert on tenant_t01.users for each row execute function tenant_t01.drop_some()`);
    const report = await fleet.json('restore -t t01 --data-only --table users');
    expect(report.of('t01').error).toMatchObject({ code: 'rows-differ', detail: expect.stringContaining('19 rows') });
    expect(await fleet.db.query('select from tenant_t01.users')).toHaveLength(0);

    await fleet.db.query('alter table tenant_t01.tasks drop column plan cascade');
    const lost = await fleet.json('restore -t t01 --data-only --table tasks');
    expect(lost.of('t01').error).toMatchObject({ code: 'columns-differ', message: expect.stringContaining('plan') });
    const unknown = await fleet.json('restore -t t01 --data-only --table nothing');
    expect(unknown.of('t01').error).toMatchObject({ code: 'no-table' });
  });

  it('finds the partitions of a table, and its way into a schema that was renamed', async () => {
    const fleet = await createBackedUp({
      schemas: { one: 'tenant_one', two: 'tenant_two' },
      more: `create table tenant_one.events (at date, what text) partition by range (at);
        create table tenant_one.events_1 partition of tenant_one.events for values from ('2026-01-01') to ('2026-07-01');
        create table tenant_one.events_2 partition of tenant_one.events for values from ('2026-07-01') to ('2027-01-01');
        insert into tenant_one.events select '2026-03-01', 'a' from generate_series(1, 3);
        insert into tenant_one.events select '2026-09-01', 'b' from generate_series(1, 4);`,
    });
    // Somebody else has the old name now.
    await fleet.db.query('alter schema tenant_one rename to moved; alter schema tenant_two rename to tenant_one');
    await fleet.db.query('truncate moved.events');
    const tenants = [
      { id: 'one', server: 'main', database: fleet.db.name, schema: 'moved' },
      { id: 'two', server: 'main', database: fleet.db.name, schema: 'tenant_one' },
    ];
    await fleet.writeInventory({ tenants });
    const others = await fingerprint(fleet, ['moved']);
    const report = await fleet.json('restore -t one --data-only --table events');
    expect(restoredOf(report, 'one')).toMatchObject({ rows: 7, tables: 2 });
    expect(await fleet.db.query('select from moved.events_2')).toHaveLength(4);
    expect(await fingerprint(fleet, ['moved'])).toEqual(others);

    // The same for all of it: beside, and in its place.
    const swapped = await fleet.json('restore -t one --swap --yes --allow-old-names');
    expect(restoredOf(swapped, 'one')).toMatchObject({ to: { schema: 'moved' }, swapped: true });
    expect(await fingerprint(fleet, ['moved'])).toEqual(others);
  });

  it.each([
    ['--data-only', 'needs the names of tables'],
    ['--table tasks', 'go with --data-only'],
    ['--data-only --table tasks --swap', 'goes without --swap'],
    ['--swap --to-schema x', '--swap goes without'],
    ['--disconnect', '--disconnect goes with --swap'],
  ])('refuses %s', async (flags, message) => {
    const { exitCode, stderr } = await runCli(`restore -t x ${flags}`);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});

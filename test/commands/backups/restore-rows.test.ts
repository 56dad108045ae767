import { describe, expect, it } from 'vitest';
import { runCli } from '../../support/run-cli.ts';
import { createBackedUp, fingerprint, restoredOf } from './restored.ts';

// One fleet for all: each test has a tenant of its own.
const fleet = await createBackedUp({
  schemas: {
    ...{ empty: 'tenant_empty', full: 'tenant_full', ahead: 'tenant_ahead', undone: 'tenant_undone' },
    ...{ one: 'tenant_one', two: 'tenant_two', shop: 'tenant_shop' },
  },
  until: 'file',
  more: `
    create table tenant_one.events (at date, what text) partition by range (at);
    create table tenant_one.events_1 partition of tenant_one.events for values from ('2026-01-01') to ('2026-07-01');
    create table tenant_one.events_2 partition of tenant_one.events for values from ('2026-07-01') to ('2027-01-01');
    insert into tenant_one.events select '2026-03-01', 'a' from generate_series(1, 3);
    insert into tenant_one.events select '2026-09-01', 'b' from generate_series(1, 4);
    create table tenant_ahead.falls (id int primary key, what text);
    create sequence tenant_ahead.down increment -1 owned by tenant_ahead.falls.id;
    alter table tenant_ahead.falls alter id set default nextval('tenant_ahead.down');
    insert into tenant_ahead.falls (what) select 'x' from generate_series(1, 5);
    create table tenant_shop.customers (id int primary key);
    create table tenant_shop.orders (id int primary key, customer int references tenant_shop.customers on delete cascade);
    create table tenant_shop.visits (customer int references tenant_shop.customers on delete set null);
    create table tenant_shop.notes (customer int references tenant_shop.customers);
    insert into tenant_shop.customers values (1), (2); insert into tenant_shop.orders values (10, 1), (11, 2);
    insert into tenant_shop.visits values (1), (2);`,
});
const { db } = fleet;

describe('restore --data-only', () => {
  it('puts rows back into an empty table, parents first, and into no other', async () => {
    const others = await fingerprint(fleet, ['tenant_empty']);
    await db.query(`
      delete from tenant_empty.tasks; delete from tenant_empty.users;
      alter table tenant_empty.tasks add column colour text default 'red'`);
    const report = await fleet.json('restore -t empty --data-only --table tasks users');
    expect(restoredOf(report, 'empty')).toMatchObject({ rows: 40, tables: 2, swapped: false });
    expect(restoredOf(report, 'empty').remarks).toContainEqual(expect.stringContaining('colour came after the backup'));
    expect(await db.query("select from tenant_empty.tasks where colour = 'red'")).toHaveLength(20);
    expect(await db.query('select from tenant_empty.users')).toHaveLength(20);
    expect(await fingerprint(fleet, ['tenant_empty'])).toEqual(others);
  });

  it('replaces only when that is said and confirmed', async () => {
    await db.query("update tenant_full.tasks set title = 'gone'");
    const full = await fleet.json('restore -t full --data-only --table tasks');
    expect(full.of('full').error).toMatchObject({ code: 'not-empty' });
    expect((await fleet.run('restore -t full --data-only --table tasks --replace')).exitCode).toBe(5);
    expect(await db.query("select from tenant_full.tasks where title = 'gone'")).toHaveLength(20);
    const report = await fleet.json('restore -t full --data-only --table tasks --replace --yes');
    expect(report.summary).toBe('full done');
    expect(await db.query("select from tenant_full.tasks where title like 'task %'")).toHaveLength(20);
  });

  it('deletes nothing from tables that nobody has named', async () => {
    const some = 'restore -t shop --data-only --replace --yes --table customers';
    const refused = await fleet.json(some);
    const { code, message, hint } = refused.of('shop').error!;
    expect(code).toBe('would-cascade');
    expect(message).toContain('orders (ON DELETE CASCADE) and visits (ON DELETE SET NULL)');
    expect(hint).toContain('--table orders visits');
    expect(await db.query('select from tenant_shop.orders')).toHaveLength(2);
    await db.query('insert into tenant_shop.customers values (3); insert into tenant_shop.visits values (3)');
    const all = await fleet.json(`${some} orders visits`);
    expect(restoredOf(all, 'shop')).toMatchObject({ rows: 6, tables: 3 });
    const [left] = await db.query(`select (select count(*)::int from tenant_shop.orders) as orders,
      (select array_agg(customer order by 1) from tenant_shop.visits) as visits`);
    expect(left).toEqual({ orders: 2, visits: [1, 2] });
  });

  it('sets sequences forward, in their own direction, and never back', async () => {
    // The application takes numbers while the rows come.
    await db.query(`
      truncate tenant_ahead.tasks, tenant_ahead.users, tenant_ahead.falls restart identity;
      select setval('tenant_ahead.down', -50);
      create function tenant_ahead.take() returns trigger language plpgsql as
        $$ begin perform setval('tenant_ahead.users_id_seq', 700); return new; end $$;
      create trigger take before insert on tenant_ahead.users for each row execute function tenant_ahead.take()`);
    const report = await fleet.json('restore -t ahead --data-only --table users tasks falls --with-sequences');
    expect(report.summary).toBe('ahead done');
    const next = `select nextval('tenant_ahead.users_id_seq')::int as users,
      nextval('tenant_ahead.tasks_id_seq')::int as tasks, nextval('tenant_ahead.down')::int as down`;
    expect(await db.query(next)).toEqual([{ users: 701, tasks: 21, down: -51 }]);
    await db.query("truncate tenant_ahead.falls; select setval('tenant_ahead.down', -2)");
    await fleet.json('restore -t ahead --data-only --table falls --with-sequences');
    expect(await db.query(next)).toMatchObject([{ down: -6 }]);
  });

  it('is undone when rows do not arrive as they were, or a column is gone', async () => {
    await db.query(`
      delete from tenant_undone.tasks; delete from tenant_undone.users;
      create function tenant_undone.drop_some() returns trigger language plpgsql as
        $$ begin if new.id = 7 then return null; end if; return new; end $$;
      create trigger drop_some before insert on tenant_undone.users
        for each row execute function tenant_undone.drop_some()`);
    const report = await fleet.json('restore -t undone --data-only --table users');
    expect(report.of('undone').error).toMatchObject({
      code: 'rows-differ',
      detail: expect.stringContaining('19 rows'),
    });
    expect(await db.query('select from tenant_undone.users')).toHaveLength(0);

    await db.query('alter table tenant_undone.tasks drop column plan cascade');
    const lost = await fleet.json('restore -t undone --data-only --table tasks');
    expect(lost.of('undone').error).toMatchObject({ code: 'columns-differ', message: expect.stringContaining('plan') });
    const unknown = await fleet.json('restore -t undone --data-only --table nothing');
    expect(unknown.of('undone').error).toMatchObject({ code: 'no-table' });
  });

  it('takes the partitions of then and of now, and finds its way into a schema that was renamed', async () => {
    // Somebody else has the old name now.
    await db.query('alter schema tenant_one rename to moved; alter schema tenant_two rename to tenant_one');
    const tenants = [
      { id: 'one', server: 'main', database: db.name, schema: 'moved' },
      { id: 'two', server: 'main', database: db.name, schema: 'tenant_one' },
    ];
    await fleet.writeInventory({ tenants });
    const events = 'restore -t one --data-only --table events';
    await db.query(`
      drop table moved.events_1;
      create table moved.events_3 partition of moved.events for values from ('2027-01-01') to ('2027-07-01');
      insert into moved.events values ('2027-02-01', 'new')`);
    const lost = await fleet.json(`${events} --replace --yes`);
    expect(lost.of('one').error).toMatchObject({
      code: 'partitions-differ',
      message: expect.stringContaining('events_1'),
    });
    await db.query(`
      create table moved.events_1 partition of moved.events for values from ('2026-01-01') to ('2026-07-01');
      truncate moved.events_2`);
    const full = await fleet.json(events);
    expect(full.of('one').error).toMatchObject({ code: 'not-empty', message: expect.stringContaining('events_3') });
    const planned = await fleet.json(`${events} --replace --dry-run`);
    expect(restoredOf(planned, 'one')).toMatchObject({ rows: 7, tables: 2 });
    const others = await fingerprint(fleet, ['moved']);
    const report = await fleet.json(`${events} --replace --yes`);
    expect(restoredOf(report, 'one')).toMatchObject({ rows: 7, tables: 2 });
    expect(restoredOf(report, 'one').remarks).toContainEqual(expect.stringMatching(/another place.*tenant_one.*moved/));
    expect(await db.query('select from moved.events_2')).toHaveLength(4);
    expect(await db.query('select from moved.events')).toHaveLength(7);
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
    ['--to-schema pg_foo', 'keeps for itself'],
    ['--to-database tenantctl_x', 'keeps for itself'],
    [`--to-schema ${'é'.repeat(32)}`, 'is 64 bytes long'],
  ])('refuses %s', async (flags, message) => {
    const { exitCode, stderr } = await runCli(`restore -t x ${flags}`);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});

import type pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/barrier.ts';
import { toFolder } from '../support/dumps.ts';
import { createFleet, type TestFleet } from '../support/fleet.ts';
import { doneValue, dropRolesAtEnd } from '../support/hibernated.ts';
import { openProxy } from '../support/proxy.ts';
import { makeRandom, type Random, testSeeds } from '../support/random.ts';

const soak = process.env.TENANTCTL_SOAK === '1';
const insert = 'insert into tenant_t01.notes (body) values ($1)';

/** What the server has said of rows: those that are there for certain, and those that it never got to keep. */
interface Told {
  readonly kept: string[];
  readonly undone: string[];
}

/** Writes rows that nobody else writes, and notes what the server said of them. */
type Write = (client: pg.Client, body: string, random: Random, told: Told) => Promise<unknown>;

const writes: readonly Write[] = [
  async (client, body, _, { kept }) => {
    await client.query(insert, [body]);
    kept.push(body);
  },
  async (client, body, _, { kept }) => {
    await client.query({ name: 'insert', text: insert, values: [body] });
    kept.push(body);
  },
  async (client, body, random, { kept, undone }) => {
    const bodies = ['a', 'b', 'c'].map((part) => `${body} ${part}`);
    await client.query('begin');
    for (const each of bodies) {
      await client.query({ name: 'insert', text: insert, values: [each] });
      await random.pause();
    }
    const isKept = random.chance(0.8);
    await client.query(isKept ? 'commit' : 'rollback');
    (isKept ? kept : undone).push(...bodies);
  },
];

test.each(testSeeds(soak ? 20 : 1))(
  'seed %i: every row that the application was told is there is there after waking',
  async (seed) => {
    const random = makeRandom(seed);
    const prefix = dropRolesAtEnd('own', 'shared');
    const fleet = await createFleet({ schemas: 2, inventory: toFolder });
    await makeNotes(fleet, prefix);
    const told: Told = { kept: [], undone: [] };
    // The sessions of the one role are ended; those of the other stay, and may do nothing any more.
    const roles = [`${prefix}_own`, `${prefix}_shared`];
    const writers = roles.flatMap((role) => writes.map((write) => keepWriting(fleet, role, write, random, told)));
    await eventually('all write', async () => (told.kept.length > 20 * writers.length ? true : null));

    expect(doneValue(await fleet.json('hibernate -t t01 --yes --scratch main'), 't01').how).toBe('archive');
    expect(await Promise.all(writers)).toEqual(roles.flatMap(() => writes.map(() => 'fenced out')));
    expect(doneValue(await fleet.json('wake -t t01'), 't01').compared).toBe('structure and rows');
    const rows = await fleet.db.query<{ body: string }>('select body from tenant_t01.notes');
    const bodies = new Set(rows.map(({ body }) => body));
    expect(bodies.size).toBe(rows.length);
    expect(told.kept.filter((body) => !bodies.has(body))).toEqual([]);
    expect(told.undone.filter((body) => bodies.has(body))).toEqual([]);
  },
);

test.runIf(soak)(
  'the answer to the COMMIT of the drop is lost for good: it sleeps, and its archive stays',
  async () => {
    const prefix = dropRolesAtEnd('own', 'shared');
    const proxy = await openProxy();
    const url = (database: string) => `postgres://postgres@127.0.0.1:${proxy.port}/${database}?sslmode=disable`;
    const fleet = await createFleet({ schemas: 2, inventory: toFolder, url });
    await makeNotes(fleet, prefix);
    proxy.watch((text) => {
      if (text.includes('DROP SCHEMA "tenant_t01"')) proxy.cutAtCommit('after');
      return 'pass';
    });
    const report = await fleet.json('hibernate -t t01 --yes --scratch main --tries 1');
    expect([report.exitCode, report.of('t01').status]).toEqual([4, 'failed']);
    const { backups } = JSON.parse((await fleet.run('backups list -t t01 --json')).stdout);
    expect(backups).toMatchObject([{ receipt: { living: true } }]);
    expect(doneValue(await fleet.json('hibernate -t t01 --yes'), 't01').already).toBe(true);
    expect(doneValue(await fleet.json('wake -t t01'), 't01').compared).toBe('structure and rows');
  },
);

async function makeNotes({ db }: TestFleet, prefix: string): Promise<void> {
  await db.query(`create role ${prefix}_own login; create role ${prefix}_shared login;
    grant usage on schema tenant_t02 to ${prefix}_shared;
    create table tenant_t01.notes (id serial primary key, body text);
    grant usage on schema tenant_t01 to ${prefix}_own, ${prefix}_shared;
    grant select, insert on tenant_t01.notes to ${prefix}_own, ${prefix}_shared;
    grant usage on tenant_t01.notes_id_seq to ${prefix}_own, ${prefix}_shared`);
}

/** Until the server says no, or ends the session. */
async function keepWriting(fleet: TestFleet, role: string, write: Write, random: Random, told: Told): Promise<string> {
  const client = await fleet.db.connect({ user: role, application_name: 'shop' });
  client.on('error', () => {});
  onTestFinished(() => client.end().catch(() => {}));
  for (let turn = 0; ; turn += 1) {
    try {
      await write(client, `${role} ${writes.indexOf(write)} ${turn}`, random, told);
    } catch {
      await client.query('rollback').catch(() => {});
      return 'fenced out';
    }
    await random.pause();
  }
}

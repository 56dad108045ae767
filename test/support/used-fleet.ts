import { onTestFinished } from 'vitest';
import { eventually } from './barrier.ts';
import { toFolder } from './dumps.ts';
import { createFleet, type TestFleet } from './fleet.ts';

/** Tenants with a table that an application writes to, as `<prefix>_app`. */
export async function usedFleet(
  schemas: number,
  prefix: string,
  inventory: Readonly<Record<string, unknown>> = {},
): Promise<TestFleet> {
  const fleet = await createFleet({ schemas, inventory: { ...toFolder, ...inventory } });
  await fleet.db.query(`CREATE ROLE ${prefix}_app LOGIN`);
  for (let number = 1; number <= schemas; number += 1) {
    const schema = `tenant_t0${number}`;
    await fleet.db.query(`CREATE TABLE ${schema}.notes (id serial PRIMARY KEY, body text);
      INSERT INTO ${schema}.notes (body) VALUES ('kept');
      GRANT USAGE ON SCHEMA ${schema} TO ${prefix}_app; GRANT ALL ON ${schema}.notes, ${schema}.notes_id_seq TO ${prefix}_app`);
  }
  return fleet;
}

/** What is written of a tenant that was put to sleep; null: nothing. */
export async function rowOf(fleet: TestFleet, schema = 'tenant_t01') {
  const [row] = await fleet.db.query<{ state: string; step: string }>(
    'select state, step from tenantctl.tenant where schema = $1',
    [schema],
  );
  return row ?? null;
}

/** May the application use it again? */
export async function isOpen(fleet: TestFleet, prefix: string, schema = 'tenant_t01'): Promise<boolean> {
  const [row] = await fleet.db.query<{ may: boolean }>(
    `select has_schema_privilege('${prefix}_app', '${schema}', 'usage')
        and has_table_privilege('${prefix}_app', '${schema}.notes', 'insert') as may`,
  );
  return row?.may === true;
}

/** A transaction of the application that has written and does not end. */
export async function hold(fleet: TestFleet, prefix: string) {
  const session = await fleet.db.connect({ user: `${prefix}_app`, application_name: 'shop' });
  onTestFinished(() => session.end());
  await session.query('begin; lock table tenant_t01.notes in row exclusive mode');
  return session;
}

/** Waits until the first tenant stands behind its fence. */
export function untilFenced(fleet: TestFleet): Promise<unknown> {
  return eventually('it is fenced', async () => (await rowOf(fleet).catch(() => null))?.step === 'fenced' || null);
}

/** As if the machine went away while that tenant was fenced: nothing of it is put back. */
export async function beginToSleep(fleet: TestFleet, prefix: string, command: string): Promise<void> {
  const held = await hold(fleet, prefix);
  const running = fleet.start(`${command} --drain 10min`);
  await untilFenced(fleet);
  for (const signal of ['SIGINT', 'SIGINT', 'SIGINT'] as const) running.signal(signal);
  await running.ended;
  await held.query('commit');
}

import { setTimeout as delay } from 'node:timers/promises';
import { TenantError } from '../../errors.ts';
import { quoteIdentifier } from '../../postgres/identifiers.ts';
import { plural } from '../../words.ts';
import { commentOnDatabase, copyDatabaseProperties, databaseComment } from './database-properties.ts';
import { oldComment } from './restore-types.ts';
import { databaseExists, inTransaction, literal, type SqlRunner } from './sql-text.ts';

export interface DatabaseSwap {
  readonly tenant: string;
  readonly run: string;
  readonly living: string;
  readonly restored: string;
  readonly old: string;
  /** May sessions of others be ended? */
  readonly disconnects: boolean;
  /** Gives it its properties where nothing lived, in the transaction that gives it its name: nobody finds it half made. */
  readonly furnish?: () => Promise<void>;
}

/** How long sessions that were told to end are waited for. The server gives up a rename after five seconds itself. */
const pauseMs = 100;

/**
 * Gives the restored database the name of the living one, which is renamed and stays: two renames in one transaction.
 * A database with sessions cannot be renamed. `second` runs on another session of the same server. Resolves to false
 * when nothing lived there.
 */
export async function swapDatabases(runner: SqlRunner, second: SqlRunner, swap: DatabaseSwap): Promise<boolean> {
  const { living, restored, old } = swap;
  const hasOld = await databaseExists(runner, living);
  if (hasOld && !swap.disconnects) await refuseConnected(runner, living);
  await inTransaction(runner, async () => {
    if (hasOld) {
      await copyDatabaseProperties(runner, living, restored);
      if ((await databaseComment(runner, living)) === null) {
        await commentOnDatabase(runner, living, oldComment(swap.tenant, swap.run));
      }
      const renamed = runner.run(rename(living, old));
      await (swap.disconnects ? endSessions(second, living, renamed) : renamed);
    } else {
      await commentOnDatabase(runner, restored, null);
    }
    await runner.run(rename(restored, living));
    if (!hasOld) await swap.furnish?.();
  });
  return hasOld;
}

/** While the rename waits, it lets nobody in: who is sent away does not come back before it is done. */
async function endSessions(second: SqlRunner, database: string, renamed: Promise<void>): Promise<void> {
  let isSettled = false;
  const settled = renamed.finally(() => {
    isSettled = true;
  });
  settled.catch(() => {});
  while (!isSettled) {
    await second.rows(`
      SELECT pg_catalog.pg_terminate_backend(pid) AS ended FROM pg_catalog.pg_stat_activity
       WHERE datname = ${literal(database)} AND pid <> pg_catalog.pg_backend_pid()`);
    await Promise.race([settled.catch(() => {}), delay(pauseMs)]);
  }
  await settled;
}

/** Says who is in the way, before anything is done. */
export async function refuseConnected(runner: SqlRunner, database: string): Promise<void> {
  const [row] = await runner.rows<{ sessions: number | string; who: string | null }>(`
    SELECT pg_catalog.count(*) AS sessions,
           pg_catalog.string_agg(DISTINCT coalesce(nullif(application_name, ''), usename), ', ') AS who
      FROM pg_catalog.pg_stat_activity WHERE datname = ${literal(database)}`);
  const sessions = Number(row?.sessions ?? 0);
  if (sessions === 0) return;
  throw new TenantError({
    message: `database ${JSON.stringify(database)} has ${plural(sessions, 'session')} (${row?.who ?? 'unknown'}), and so it cannot be renamed`,
    code: 'connected',
    hint: 'stop the application for this tenant, or end its sessions with --disconnect',
  });
}

function rename(from: string, to: string): string {
  return `ALTER DATABASE ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`;
}

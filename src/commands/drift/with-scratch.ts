import type { Context } from '../../context.ts';
import { dropLeftovers, markScratch, scratchName, unusedComment } from '../../drift/scratch-leftovers.ts';
import { RefusedError, StoppedError } from '../../errors.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { cancelledBy } from '../../postgres/cancelling.ts';
import { toFailure } from '../../postgres/failure.ts';
import { createDatabaseLike, dropScratchDatabase } from '../../postgres/scratch-database.ts';
import type { Session } from '../../postgres/session.ts';
import { errorCode, sqlStates } from '../../postgres/sqlstates.ts';
import { applicationName, prepareReader } from '../../postgres/tenant-session.ts';
import type { Fleet } from '../open-fleet.ts';

/** A database that is empty at first and gone at the end, and a session in it. */
export interface Scratch {
  readonly session: Session;
  readonly database: string;
  /** What of the model's database it has not, for want of rights; a line each. */
  readonly lacking: readonly string[];
}

/** Runs that were begun in this process, each with a number of its own. */
const counts = new WeakMap<Fleet, number>();

/**
 * Makes a scratch database like a tenant's beside it, and drops it whatever becomes of the work. Refuses (5) where none
 * can be made. A killed run leaves it behind; the next one finds and drops it.
 */
export async function withScratch<T>(
  context: Context,
  fleet: Fleet,
  { server, database }: Pick<Tenant, 'server' | 'database'>,
  work: (scratch: Scratch) => Promise<T>,
): Promise<T> {
  const { stop, cancel } = context.interrupts;
  refuseStopped(stop);
  const count = (counts.get(fleet) ?? 0) + 1;
  counts.set(fleet, count);
  const name = scratchName(fleet.run, count);
  const beside = <R>(admin: (session: Session) => Promise<R>) =>
    fleet.pools.use(server, database, async (session) => {
      await prepareReader(session, applicationName(fleet.run, 'drift'));
      return admin(session);
    });
  const lacking = await beside((session) => create(session, server, name, fleet.run));
  try {
    return await fleet.pools.use(server, name, async (session) => {
      // The one session stays until the end: it is what says that this run lives.
      await markScratch(session, name, fleet.run);
      return await cancelledBy(cancel, session, () => work({ session, database: name, lacking }));
    });
  } catch (error) {
    refuseStopped(stop);
    throw error;
  } finally {
    await drop(context, fleet, server, name, beside);
  }
}

async function create(session: Session, server: string, name: string, run: string): Promise<readonly string[]> {
  await dropLeftovers(session);
  const comment = await unusedComment(session, run);
  try {
    return await createDatabaseLike(session, name, { comment });
  } catch (error) {
    const why = refusals[errorCode(error) ?? ''];
    if (why === undefined) throw error;
    throw new RefusedError(`no scratch database can be made on server ${server}: ${why}`, {
      hint: 'give the login role CREATEDB (alter role … createdb), or compare with a snapshot: --against file:<snapshot>',
      cause: error,
    });
  }
}

const refusals: Readonly<Record<string, string>> = {
  [sqlStates.insufficientPrivilege]: 'the login role may not make databases',
  '25006': 'it is a standby, or takes no writing transactions',
};

async function drop(
  { emit }: Context,
  fleet: Fleet,
  server: string,
  name: string,
  beside: (admin: (session: Session) => Promise<void>) => Promise<void>,
): Promise<void> {
  try {
    await fleet.pools.closeIdle(server, name);
    await beside((session) => dropScratchDatabase(session, name));
  } catch (error) {
    emit({
      type: 'notice',
      level: 'warning',
      message: `database ${name} on server ${server} was left behind: ${toFailure(error).message}`,
      hint: 'it holds nothing of a tenant: the next run that needs one drops it',
    });
  }
}

/** What fails because it was stopped is no failure of a server. */
function refuseStopped(stop: AbortSignal): void {
  if (stop.aborted) throw new StoppedError('stopped before the migrations were built');
}

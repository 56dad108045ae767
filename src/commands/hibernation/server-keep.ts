import type { Context } from '../../context.ts';
import type { Outcome } from '../../fleet/outcome.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { type Kept, type KeptAs, keepStopped } from '../../hibernation/rds/keep-stopped.ts';
import { plural } from '../../words.ts';
import type { Fleet } from '../open-fleet.ts';
import { RdsClients } from './rds-clients.ts';
import type { ServerHibernateValue } from './server-hibernate.ts';
import { runServers, serverJobs } from './server-jobs.ts';
import type { ServerOptions } from './server-options.ts';
import { reportServer, restartRemarks } from './server-report.ts';
import { readUsers } from './server-users.ts';
import { unseenServers } from './server-wake.ts';

/** `value` of a done outcome of `hibernate --keep`. */
export interface KeepValue extends ServerHibernateValue {
  readonly kept: KeptAs;
}

/**
 * `hibernate --keep`: stops servers again that AWS started, after seven days or for maintenance, and that nobody uses.
 * Of the tenants, those are looked at that sleep with a stopped server; all others are left out. Servers whose tenants only
 * discovery knows are kept too, and told by a notice.
 */
export async function keepServers(
  context: Context,
  fleet: Fleet,
  options: ServerOptions & { readonly dryRun: boolean },
): Promise<Outcome<KeepValue>[]> {
  const tenants = stoppedTenants(fleet);
  const unseen = unseenServers(fleet);
  if (tenants.length + unseen.length === 0) return [];
  await using clients = new RdsClients({ profile: options.profile, env: context.env });
  const { jobs } = await serverJobs(fleet, tenants, clients, unseen);
  return runServers<KeepValue>(context, fleet, {
    phase: 'keeping servers asleep',
    jobs,
    options,
    work: async (job, work) => {
      const countConnected = async () => {
        const { runs, others } = await readUsers(fleet, job);
        return runs.length + others;
      };
      const kept = await keepStopped(work, countConnected, { looksOnly: options.dryRun });
      const value = keepValue(kept, options.dryRun);
      if (job.tenants.length === 0) tell(context, kept, value);
      return value;
    },
  });
}

/** Those that sleep because their server was stopped. */
export function stoppedTenants({ sleeping }: Pick<Fleet, 'sleeping'>): readonly Tenant[] {
  return [...sleeping].flatMap(([tenant, { how }]) => (how === 'stop' ? [tenant] : []));
}

function keepValue(kept: Kept, isDry: boolean): KeepValue {
  const server = { ...reportServer(kept.state, null), restarts: kept.restarts };
  const nothing = { backup: null, sizeBeforeBytes: null, sizeAfterBytes: null, phases: null };
  const remarks = [
    describeKept(kept, isDry),
    ...(kept.as === 'asleep' || kept.as === 'stopped-again' ? restartRemarks(server) : []),
  ];
  return { how: 'stop', already: kept.as !== 'stopped-again', ...nothing, remarks, server, kept: kept.as };
}

function describeKept({ as, state: { status }, restarts, connected }: Kept, isDry: boolean): string {
  switch (as) {
    case 'asleep':
      return `it is ${status}`;
    case 'stopped-again':
      if (isDry) return 'it is up and nobody uses it: it would be stopped again';
      return restarts === 0
        ? 'a run that did not come to its end had begun to stop it: stopped'
        : `AWS had started it: stopped again, for the ${nth(restarts)} time`;
    case 'later':
      return `it is ${status}: it is stopped when AWS is done with it, in the next round`;
    case 'in-use':
      return `${plural(connected, 'session')} connected: it is left awake; wake it (tenantctl wake) if it is used again`;
    case 'awake':
      return 'it is being woken';
  }
}

function nth(count: number): string {
  const ending = count % 100 >= 11 && count % 100 <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][count % 10] ?? 'th');
  return `${count}${ending}`;
}

function tell(context: Context, { state }: Kept, { remarks }: KeepValue): void {
  context.emit({ type: 'notice', level: 'info', message: `${state.kind} ${state.id}: ${remarks.join('; ')}` });
}

import type { Context } from '../../context.ts';
import { toFailure } from '../../postgres/failure.ts';
import { Servers } from '../../postgres/servers.ts';
import type { Session } from '../../postgres/session.ts';
import { SessionPools } from '../../postgres/session-pools.ts';
import { applicationName } from '../../postgres/tenant-session.ts';
import type { Fleet } from '../open-fleet.ts';
import { connectionSettings } from '../open-inventory.ts';

/** What a standby has answered, or why nobody knows. */
export type Answer<T> = { readonly value: T } | { readonly unread: string };

/** The standbys of the inventory: what is read there, a primary does not count. */
export class Replicas {
  readonly #fleet: Fleet;
  readonly #servers: Servers;
  readonly #pools: SessionPools;

  constructor(context: Context, fleet: Fleet) {
    this.#fleet = fleet;
    const settings = connectionSettings(context, fleet.inventory, 'replica');
    this.#servers = new Servers(settings, {
      applicationName: applicationName(fleet.run, 'idle'),
      cut: context.interrupts.abandon,
    });
    this.#pools = new SessionPools(
      (server, database) => this.#servers.connect(server, database),
      (server) => fleet.limits.perServer.get(server) ?? fleet.limits.fleet.perServer,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pools.closeAll();
  }

  /** Asks the standby of a server; null: the inventory names none. Never rejects. */
  async ask<T>(
    server: string,
    database: string,
    question: (session: Session, versionNum: number) => Promise<T>,
  ): Promise<Answer<T> | null> {
    if ((this.#fleet.inventory.servers.get(server)?.replica ?? null) === null) return null;
    try {
      const value = await this.#pools.use(server, database, (session) => {
        return question(session, this.#servers.facts(server)?.versionNum ?? 0);
      });
      return { value };
    } catch (error) {
      return { unread: toFailure(error).message };
    }
  }
}

import type { Tenant } from './tenant.ts';

/** How a tenant is put to sleep. `pause`: an Aurora Serverless v2 cluster that may go down to nothing. */
export type SleepWay = 'archive' | 'lock' | 'stop' | 'pause';

/** Active tenants have none: nothing is written anywhere about a tenant that was never put to sleep. */
export type SleepState = 'hibernating' | 'hibernated' | 'waking';

/** What is known of a tenant that is not active. It lives with the data: a row in its database, or tags on its server. */
export interface TenantSleep {
  readonly state: SleepState;
  readonly how: SleepWay;
  /** The run that wrote this. */
  readonly run: string;
  /** When this state began. */
  readonly since: Date;
  /** Names of the migrations that it had, oldest first; null: no history table, or not known. */
  readonly applied: readonly string[] | null;
  /** Something else of its name stands where it was; a tenant of a server that sleeps as a whole has its place. */
  readonly isNameTaken?: boolean;
}

/** A tenant of the fleet that is not active. */
export interface SleepingTenant {
  readonly tenant: Tenant;
  readonly sleep: TenantSleep;
}

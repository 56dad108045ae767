import type { Session } from '../../postgres/session.ts';

/** Where scratch databases are made: a server of the inventory, or a cluster of our own. */
export interface ScratchServer {
  /** For messages and records: its id, or `local`. */
  readonly name: string;
  readonly major: number;
  /** `15.18` */
  readonly version: string;
  /** Started for this run alone: roles may be made in it, for they go with it. */
  readonly isTemporary: boolean;
  createDatabase(): Promise<ScratchDatabase>;
  /** Drops what is left of this run, and stops what was started for it. */
  close(): Promise<void>;
}

export interface ScratchDatabase {
  readonly name: string;
  readonly server: Pick<ScratchServer, 'name' | 'major' | 'isTemporary'>;
  connect(): Promise<Session>;
  /** For pg_restore and pg_dump: they reach this database. */
  readonly env: Readonly<Record<string, string>>;
  drop(): Promise<void>;
}

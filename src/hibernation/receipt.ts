import type { Labels } from '../fleet/tenant.ts';

/** Rights of one object as they were before the fence, in the order in which PostgreSQL kept them. */
export interface FencedObject {
  readonly kind: 'database' | 'schema' | 'table' | 'sequence' | 'column';
  /** Null for a database and a schema. */
  readonly schema: string | null;
  /** Of the database, schema or relation. */
  readonly name: string;
  /** Of a column. */
  readonly column: string | null;
  /** Null: PostgreSQL's own default for its owner. */
  readonly grants: readonly FencedGrant[] | null;
  readonly owner: string;
}

export interface FencedGrant {
  /** Null: PUBLIC. */
  readonly grantee: string | null;
  readonly grantor: string;
  /** `SELECT`, `INSERT`, `USAGE`, … */
  readonly privilege: string;
  readonly isGrantable: boolean;
}

/** What was taken from whom, so that exactly that can be given back. */
export interface Fence {
  readonly objects: readonly FencedObject[];
  /** Roles of this tenant alone that may not log in while it sleeps. */
  readonly closedRoles: readonly string[];
}

/** Rows of one table, in any order: how many, and the sum of a hash of each. */
export interface TableRows {
  readonly schema: string;
  readonly table: string;
  readonly rows: number;
  /** Decimal. A sequence has its state here, and one row. */
  readonly hash: string;
}

/** What a tenant is, without its rows: the sum of the facts that a drift scan reads. */
export interface Structure {
  /** How facts are made changes from version to version: fingerprints of two formats cannot be compared. */
  readonly format: number;
  /** Of PostgreSQL: the same facts read otherwise in another. */
  readonly major: number;
  readonly shape: string;
}

/**
 * All that is needed to give a tenant back as it was. Lives in `tenantctl.tenant`, written in the transaction that drops
 * the schema; a copy lies beside the archive. Times RFC 3339 in UTC, sizes bytes.
 */
export interface Receipt {
  readonly schema: 'tenantctl-receipt/1';
  readonly tenant: string;
  readonly environment: string;
  readonly place: { readonly server: string; readonly database: string; readonly schema: string | null };
  readonly labels: Labels;
  readonly run: string;
  /** Of tenantctl. */
  readonly version: string;
  readonly how: 'archive';
  readonly hibernatedAt: string;
  /** The backup that it will be woken from, and the store that had it. */
  readonly backup: { readonly store: string; readonly time: string; readonly sha256: string };
  readonly verifiedAt: string;
  readonly structure: Structure;
  /**
   * The same in the copy that its archive was tried out in: PostgreSQL prints some expressions otherwise once it has read
   * its own text. Null: not to be had there.
   */
  readonly restored: Structure | null;
  readonly rows: readonly TableRows[];
  readonly fence: Fence;
  /** Names of applied migrations, oldest first; null: no history table. */
  readonly applied: readonly string[] | null;
  /** On disk, before. */
  readonly sizeBytes: number;
}

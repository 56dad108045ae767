/** How much a difference matters: a thing that does not work, who may do what, what there is, or how it looks. */
export type DriftClass = 'broken' | 'security' | 'structural' | 'cosmetic';

/** What an attribute of a fact can be; a list is in an order that means something, or sorted. */
export type FactValue = string | boolean | number | null | readonly string[];

/** One object of a tenant, or one aspect of it that is kept apart; the tenant's own names are not in it. */
export interface Fact {
  /** 'table', 'column', 'constraint', 'privileges', 'comment', 'column order', … */
  readonly kind: string;
  /** Unique within its kind: `users`, `users.email`, `f(integer)`. */
  readonly name: string;
  /** The relation that it belongs to, for display and for the order of fixes. */
  readonly table: string | null;
  readonly attributes: Readonly<Record<string, FactValue>>;
}

/** Objects of a catalogue that no fact covers. */
export interface Unmodelled {
  readonly kind: string;
  readonly count: number;
}

/** All facts of a tenant, with what is not modelled. */
export interface FactSet {
  /** The server's major version: facts of two majors are never compared. */
  readonly major: number;
  /** By `factKey`. */
  readonly facts: ReadonlyMap<string, Fact>;
  readonly unmodelled: readonly Unmodelled[];
  /** Keys of the facts in which the tenant's own schema, id or role was a literal and is a placeholder now. */
  readonly templated: readonly string[];
  /** How facts read that hold the tenant's own names, by key, with those names; a snapshot has those of `byChance` only. */
  readonly literal?: ReadonlyMap<string, Fact>;
  /** Keys of facts in which a word that may be any other was taken for the tenant's own name: `1`, `active`. */
  readonly byChance?: readonly string[];
}

/** What a scan says of one tenant: two tenants of one major with the same `shape` have equal facts (128 bits). */
export interface TenantShape {
  readonly major: number;
  readonly shape: string;
  /** As `shape`, without the cosmetic facts. */
  readonly structure: string;
  readonly facts: number;
  readonly unmodelled: readonly Unmodelled[];
  /** The newest applied migration; null without a history. */
  readonly version: string | null;
}

/** What is the tenant's own and differs between tenants by design. */
export interface OwnNames {
  readonly schema: string;
  readonly id: string;
  readonly role: string | null;
}

/** The key of a fact in `FactSet.facts`. */
export const factKey = (kind: string, name: string): string => `${kind}\0${name}`;

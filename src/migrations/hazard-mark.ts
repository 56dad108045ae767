import type { HazardName } from './hazards.ts';
import { displayName, type RelationName } from './parse-tree.ts';

/** A hazard that the parse of one statement shows; whether it counts depends on the plan around it. */
export interface HazardMark {
  readonly hazard: HazardName;
  /** For people: `users.tmp`. */
  readonly subject: string;
  /** Whose rows count; an index stands for its table. No hazard when the same plan made it. */
  readonly relation: RelationName | null;
  /** No hazard when the same plan made all of these columns. */
  readonly columns?: readonly string[];
  /** Lower case, no full stop. */
  readonly message: string;
  /** When there is a better way than the hazard's own. */
  readonly hint?: string;
  /** `made-anew`: no hazard when the same file makes it again. `locked`: one only while the transaction has its lock. */
  readonly when?: 'not-made-anew' | 'locked';
}

/** A mark about a table, or about one of its columns. */
export function mark(
  hazard: HazardName,
  relation: RelationName,
  message: string,
  more: Pick<HazardMark, 'hint' | 'when'> & { readonly column?: string } = {},
): HazardMark {
  const { column, ...rest } = more;
  const columns =
    column === undefined || hazard === 'table-rewrite' || hazard === 'constraint-validates' ? [] : [column];
  return {
    hazard,
    subject: displayName(relation, column),
    relation,
    ...(columns.length === 0 ? {} : { columns }),
    message,
    ...rest,
  };
}

/** That a statement shuts everybody out of a table; counts only where the table is large. */
export function markExclusive(relation: RelationName, hint?: string): HazardMark {
  const message = 'nobody reads or writes it from this statement until the tenant’s transaction ends';
  return mark('access-exclusive', relation, message, hint === undefined ? {} : { hint });
}

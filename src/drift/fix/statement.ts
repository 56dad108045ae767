/**
 * The order in which a fix works: what stands on other things goes first and comes back last, and what others may still
 * need goes when nobody names it any more.
 */
export const phases = [
  'drop triggers',
  'drop views',
  'drop foreign keys',
  'drop constraints',
  'drop indexes',
  'drop tables',
  'drop columns',
  'drop remade',
  'rename',
  'types',
  'sequences',
  'routines',
  'casts',
  'tables',
  'columns',
  'alter columns',
  'views',
  'constraints',
  'indexes',
  'attach',
  'foreign keys',
  'triggers',
  'settings',
  'drop rest',
  'owners',
  'sequence owners',
  'default privileges',
  'revokes',
  'grants',
  'comments',
] as const;

export type FixPhase = (typeof phases)[number];

/** One statement of a fix: names are not qualified and the tenant's own names have stand-ins, so it serves a group. */
export interface FixStatement {
  readonly phase: FixPhase;
  /** Without its semicolon. */
  readonly text: string;
  /** The object that it makes, by its bare name; others that name it come after it. */
  readonly makes: string | null;
  /** The object that it takes away, by its bare name; what names it is taken away before. */
  readonly drops: string | null;
  /** Where the names of other objects are looked for; null: in the text, and of a drop nowhere. */
  readonly names: string | null;
  /** What is lost by it, for people: `column users.tmp, and what is in it`; null: nothing. */
  readonly loses: string | null;
}

/** A statement that makes, drops and loses nothing, where it is not said. */
export function statement(
  phase: FixPhase,
  text: string,
  more: Partial<Omit<FixStatement, 'phase' | 'text'>> = {},
): FixStatement {
  return { makes: null, drops: null, names: null, loses: null, ...more, phase, text };
}

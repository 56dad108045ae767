/**
 * What can hurt a live fleet, by names that scripts and migration files use: no name here is ever changed. Each is
 * explained in docs/hazards.md.
 */
export const hazardNames = [
  'table-rewrite',
  'access-exclusive',
  'index-not-concurrent',
  'constraint-validates',
  'drop-column',
  'drop-table',
  'rename',
  'data-deleted',
  'leaves-schema',
  'no-transaction',
] as const;

export type HazardName = (typeof hazardNames)[number];

export function isHazardName(word: string): word is HazardName {
  return hazardNames.some((name) => name === word);
}

/** What to do instead, where a statement does not know it better. */
export const saferWays: Readonly<Record<HazardName, string>> = {
  'table-rewrite': 'add a new column, fill it in batches, let the application move over, drop the old one later',
  'access-exclusive':
    'run it when there is little traffic, alone in its release, with a short --lock-timeout; or make the change in smaller steps',
  'index-not-concurrent':
    'CREATE INDEX CONCURRENTLY (or REINDEX … CONCURRENTLY) in a file of its own, marked `-- tenantctl:no-transaction`',
  'constraint-validates':
    'add it NOT VALID, and VALIDATE CONSTRAINT in a later file, marked `-- tenantctl:no-transaction`',
  'drop-column':
    'release an application that does not use it first; keep the column for as long as you may have to go back',
  'drop-table': 'release an application that does not use it first; rename it in between, or have a backup',
  rename: 'add the new name (a column that is kept equal, a view), move the application over, drop the old name later',
  'data-deleted': 'have a backup or a copy of the rows; delete in batches, by a WHERE that names them',
  'leaves-schema':
    'put it into the migrations of the shared schema (`shared:` in the inventory), or leave the schema out',
  'no-transaction': 'one statement a file, written so that it can run again (IF NOT EXISTS, IF EXISTS)',
};

/** Hazards that a file lets pass by a line `-- tenantctl:allow <hazard>[,<hazard>] [reason]`, with where it names them. */
export interface AllowedWord {
  readonly word: string;
  /** UTF-16 units from the beginning of the file. */
  readonly offset: number;
}

const allowLine = /^[ \t]*--[ \t]*tenantctl:allow(?![\w-])[ \t]*([\w-]+(?:[ \t]*,[ \t]*[\w-]+)*)?.*$/gm;

/** The words as they are written; whoever asks checks that they are hazards. A line that names none gives ''. */
export function allowedWords(text: string): readonly AllowedWord[] {
  return [...text.matchAll(allowLine)].flatMap(({ 1: words = '', index: offset }) =>
    words.split(',').map((word) => ({ word: word.trim(), offset })),
  );
}

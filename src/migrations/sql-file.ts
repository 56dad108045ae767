import { getActions } from 'node-pg-migrate/sqlMigration';

/** One direction of a migration file: the text that is sent, and where it begins in the file (UTF-16 units). */
export interface SqlSection {
  readonly text: string;
  readonly offset: number;
}

export interface SqlFile {
  readonly up: SqlSection;
  /** Null: the file has no down section, it cannot be taken back. */
  readonly down: SqlSection | null;
  readonly usesTransaction: boolean;
  /** No line says where up begins, so node-pg-migrate runs the whole file on the way up, its down section too. */
  readonly runsDownOnUp: boolean;
}

const noTransaction = /^[ \t]*--[ \t]*tenantctl:no-transaction[ \t]*\r?$/m;

/** Reads an .sql migration as node-pg-migrate does: `-- Up Migration` and `-- Down Migration` part the file. */
export function parseSqlFile(content: string): SqlFile {
  const actions = getActions(content);
  const up = sectionOf(content, actions.up) ?? { text: content, offset: 0 };
  const down = sectionOf(content, actions.down);
  const runsDownOnUp = down !== null && up.offset <= down.offset && up.text.length === content.length;
  return { up, down, usesTransaction: !noTransaction.test(content), runsDownOnUp };
}

function sectionOf(content: string, action: unknown): SqlSection | null {
  if (typeof action !== 'function') return null;
  let text = '';
  action({
    sql: (part: string) => {
      text = part;
    },
  });
  return { text, offset: content.indexOf(text) };
}

/** 1-based line and column (in characters) of an offset in a text. */
export function lineAndColumn(text: string, offset: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: [...before.slice(lineStart)].length + 1 };
}

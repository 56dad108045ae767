import type { TenantCheck } from './check-texts.ts';
import { creationsOf } from './created-objects.ts';
import type { Migration } from './folder.ts';
import { asText, nameOfWords, relationOf, walk, wordsOf } from './parse-tree.ts';
import type { Statement, StatementParser } from './statements.ts';

type Kind = 'relation' | 'column' | 'function' | 'type';

/** SQLSTATEs of a name that is not there, and of what kind it is. */
const missingKinds = new Map<string, Kind>([
  ['42P01', 'relation'],
  ['42703', 'column'],
  ['42883', 'function'],
  ['42704', 'type'],
]);

/** Whether a check failed because something that it looks at is not there. */
export function isMissingObject(sqlState: string | undefined): boolean {
  return missingKinds.has(sqlState ?? '');
}

/**
 * Knows what migrations make, to tell a check that comes too early from one that is misspelt. The server does not tell the
 * missing name but in its text, so it goes by all names of that kind in the check.
 */
export class EarlyChecks {
  readonly #parse: StatementParser;
  readonly #made = new Map<Migration, Names>();
  readonly #named = new Map<TenantCheck, Names>();

  constructor(parse: StatementParser) {
    this.#parse = parse;
  }

  /** Whether one of the migrations makes what the check did not find. Of JavaScript nobody knows what it makes. */
  isMadeBy(migrations: readonly Migration[], check: TenantCheck, sqlState: string | undefined): boolean {
    const kind = missingKinds.get(sqlState ?? '');
    if (kind === undefined) return false;
    const named = this.#of(this.#named, check, () => namesIn(this.#statements(check.query)));
    return migrations.some((migration) => {
      const made = this.#of(this.#made, migration, () =>
        namesMadeBy(migration.kind === 'sql' ? this.#statements(migration.sql.up.text) : []),
      );
      // What an extension brings, nobody knows.
      return made.has('extension') || named.share(made, kind);
    });
  }

  #of<K>(known: Map<K, Names>, key: K, read: () => Names): Names {
    const names = known.get(key) ?? read();
    known.set(key, names);
    return names;
  }

  #statements(text: string): readonly Statement[] {
    return this.#parse({ text, offset: 0 }) ?? [];
  }
}

/** Without their schemas: one that is a tenant's own may be written or not. */
class Names {
  readonly #byKind = new Map<string, Set<string>>();

  add(kind: Kind | 'extension', name: string | null | undefined): void {
    if (name == null) return;
    this.#byKind.set(kind, (this.#byKind.get(kind) ?? new Set()).add(name));
  }

  has(kind: Kind | 'extension'): boolean {
    return this.#byKind.has(kind);
  }

  share(others: Names, kind: Kind): boolean {
    const theirs = others.#byKind.get(kind);
    return theirs !== undefined && [...(this.#byKind.get(kind) ?? [])].some((name) => theirs.has(name));
  }
}

function namesIn(statements: readonly Statement[]): Names {
  const names = new Names();
  for (const { node } of statements) {
    walk(node, (part, _key, type) => {
      names.add('relation', relationOf(part)?.name);
      if (type === 'ColumnRef') names.add('column', wordsOf(part.fields).at(-1));
      if (type === 'FuncCall') names.add('function', wordsOf(part.funcname).at(-1));
      names.add('type', wordsOf(part.names).at(-1));
    });
  }
  return names;
}

function namesMadeBy(statements: readonly Statement[]): Names {
  const names = new Names();
  for (const statement of statements) {
    for (const { relation, column } of creationsOf(statement)) {
      names.add(column === undefined ? 'relation' : 'column', column ?? relation.name);
    }
    const other = otherMade(statement);
    if (other !== null) names.add(...other);
  }
  return names;
}

/** What has no part in hazards. */
function otherMade({ type, node }: Statement): readonly [Kind | 'extension', string | null | undefined] | null {
  const named = (value: unknown) => nameOfWords(wordsOf(value))?.name;
  switch (type) {
    case 'CreateExtensionStmt':
      return ['extension', asText(node.extname)];
    case 'CreateFunctionStmt':
      return ['function', named(node.funcname)];
    case 'CreateEnumStmt':
    case 'CreateRangeStmt':
      return ['type', named(node.typeName)];
    case 'CreateDomainStmt':
      return ['type', named(node.domainname)];
    case 'CompositeTypeStmt':
      return ['type', relationOf(node.typevar)?.name];
    case 'RenameStmt':
      return [renames.get(String(node.renameType)) ?? 'type', asText(node.newname)];
    default:
      return null;
  }
}

const renames = new Map<string, Kind>([
  ['OBJECT_COLUMN', 'column'],
  ['OBJECT_FUNCTION', 'function'],
]);

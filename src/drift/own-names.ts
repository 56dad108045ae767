import { quoteIdentifier, quoteSearchPath } from '../postgres/identifiers.ts';
import type { OwnNames } from './fact.ts';

/** Stands for nothing: no text has it. */
const never = '(?=a)b';

/** What of a name stands beside it when it is only a part of another word. */
const wordCharacter = '[[:alnum:]_$]';

/** What the statements must know of one tenant, in the order of their parameters. */
export interface NameParameters {
  readonly path: string;
  readonly schema: string;
  readonly role: string | null;
  readonly id: string;
  /** Patterns for role and publication names, where an underscore ends a word. */
  readonly schemaInName: string;
  readonly idInName: string;
  /** Text that must be there for one of the patterns to match: looking for it is cheap. */
  readonly schemaNeedle: string | null;
  readonly idNeedle: string | null;
  readonly schemaInBody: string;
  readonly schemaInLiteral: string;
  readonly idInBody: string;
  readonly idInLiteral: string;
  /** The schema as it stands before a dot. */
  readonly qualifier: string;
}

/**
 * The path on which definitions are printed. `public` is on it for every tenant, so that what extensions put there has
 * one name for a tenant with a schema and for one that lives in `public` of its own database. Two tenants with the same
 * objects of their own find the same thing by the same name, so nothing is hidden by it.
 */
export function printingPath(schema: string): string {
  return quoteSearchPath([...new Set([schema, 'public', 'pg_catalog'])]);
}

/**
 * @param isTemplating whether the tenant's own names are replaced in text that PostgreSQL does not understand: bodies,
 *   literals, comments, names of roles.
 */
export function nameParameters({ schema, id, role }: OwnNames, isTemplating: boolean): NameParameters {
  const own = isTemplating ? schema : null;
  const ownId = isTemplating && id !== schema ? id : null;
  return {
    path: printingPath(schema),
    schema,
    role,
    id,
    schemaInName: own === null || schema === 'public' ? never : wordInName(schema),
    idInName: ownId === null ? never : wordInName(id),
    schemaNeedle: own === null ? null : needle(own),
    idNeedle: ownId === null ? null : isTelling(ownId) ? needle(ownId) : `'${ownId}'`,
    schemaInBody: own === null ? never : inBody(own),
    schemaInLiteral: own === null ? never : inLiteral(own),
    idInBody: ownId === null ? never : inBody(ownId),
    idInLiteral: ownId === null ? never : inLiteral(ownId),
    qualifier: own === null ? never : `(?:${escaped(quoteIdentifier(own))}|(?<!${wordCharacter}|["])${escaped(own)})`,
  };
}

/** A name like `tenant_7`, which is nothing but the tenant wherever it stands; `users`, `public` and `42` may be anything. */
export function isTelling(name: string): boolean {
  return name.length >= 3 && /\p{L}/u.test(name) && /[^\p{L}]/u.test(name);
}

/** In a text within a text a quote is written twice: what is looked for is the longest part without one. */
function needle(name: string): string {
  return name.split("'").reduce((longest, part) => (part.length > longest.length ? part : longest), '');
}

function inBody(name: string): string {
  if (isTelling(name)) {
    const asText = name.includes("'") ? `${word(name.replaceAll("'", "''"))}|` : '';
    return `${escaped(quoteIdentifier(name))}|${asText}${word(name)}`;
  }
  // 'public' is a word of many: whether the schema is meant cannot be told.
  return name === 'public' ? never : `(?<=')${escaped(name)}(?=')`;
}

function inLiteral(name: string): string {
  if (isTelling(name)) return word(name);
  return name === 'public' ? never : `^${escaped(name)}$`;
}

function word(name: string): string {
  return `(?<!${wordCharacter})${escaped(name)}(?!${wordCharacter})`;
}

function wordInName(name: string): string {
  return `(?<![[:alnum:]])${escaped(name)}(?![[:alnum:]])`;
}

/** As a pattern that matches just this text; a backslash before any other ASCII character stands for that character. */
function escaped(text: string): string {
  return text.replace(/[!-/:-@[-`{-~]/g, '\\$&');
}

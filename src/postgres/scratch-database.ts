import { quoteIdentifier } from './identifiers.ts';
import type { Session } from './session.ts';
import { sql } from './sql.ts';
import { errorCode, sqlStates } from './sqlstates.ts';

/** Makes an empty database; from any other one of the same server. */
export async function createScratchDatabase(session: Session, name: string): Promise<void> {
  // template0 is never in use, and has nothing that somebody put there.
  await session.raw(`CREATE DATABASE ${quoteIdentifier(name)} TEMPLATE template0`);
}

export async function dropScratchDatabase(session: Session, name: string): Promise<void> {
  await session.raw(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)} WITH (FORCE)`);
}

/** What decides how things are made and literals are read. What an application set for itself may be asked for too. */
const keptSettings: readonly string[] = [
  'default_tablespace',
  'default_table_access_method',
  'default_toast_compression',
  'default_text_search_config',
  'timezone',
  'datestyle',
  'intervalstyle',
];

/** What a database has of its own that matters to what is made in it. */
export interface DatabaseTraits {
  /** Encoding and locale, as CREATE DATABASE takes them. */
  readonly options: string;
  /** As ALTER DATABASE takes them. */
  readonly settings: readonly { readonly name: string; readonly change: string }[];
}

/** Those of the session's own database. */
export async function readTraits(session: Session): Promise<DatabaseTraits> {
  const [[own], settings] = await Promise.all([
    session.query<{ options: string }>(sql`
      SELECT pg_catalog.format('ENCODING %L LC_COLLATE %L LC_CTYPE %L', pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype)
               -- Each version has other columns for it; before 15 there are none.
               || CASE j.of->>'datlocprovider' WHEN 'c' THEN ' LOCALE_PROVIDER libc'
                    WHEN 'b' THEN pg_catalog.format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', j.of->>'datlocale')
                    WHEN 'i' THEN pg_catalog.format(' LOCALE_PROVIDER icu ICU_LOCALE %L',
                                                    coalesce(j.of->>'datlocale', j.of->>'daticulocale'))
                                  || coalesce(' ICU_RULES ' || pg_catalog.quote_literal(j.of->>'daticurules'), '')
                    ELSE '' END AS options
        FROM pg_catalog.pg_database d, LATERAL (SELECT pg_catalog.to_jsonb(d) AS of) j
       WHERE d.datname = pg_catalog.current_database()`),
    session.query<{ name: string; change: string }>(sql`
      SELECT c.name, pg_catalog.format('SET %I TO %L', c.name, c.value) AS change
        FROM pg_catalog.pg_db_role_setting s
        JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase AND d.datname = pg_catalog.current_database(),
             LATERAL (SELECT pg_catalog.split_part(i, '=', 1) AS name, pg_catalog.substr(i, pg_catalog.strpos(i, '=') + 1) AS value
                        FROM pg_catalog.unnest(s.setconfig) i) c
       WHERE s.setrole = 0 AND (pg_catalog.lower(c.name) = ANY (${keptSettings}::text[]) OR pg_catalog.strpos(c.name, '.') > 0)
       ORDER BY c.name COLLATE "C"`),
  ]);
  if (own === undefined) throw new Error('a session without a database');
  return { ...own, settings };
}

/**
 * Makes an empty database that is like the session's own one; `comment` says what it is for as soon as it is there.
 * Settings that the login role may not make are returned, a line each.
 */
export async function createDatabaseLike(
  session: Session,
  name: string,
  { comment }: { readonly comment: string },
): Promise<readonly string[]> {
  const { options, settings } = await readTraits(session);
  const database = `DATABASE ${quoteIdentifier(name)}`;
  // Sent together: nobody should be killed between the two.
  await Promise.all([
    session.raw(`CREATE ${database} TEMPLATE template0 ${options}`),
    session.raw(`COMMENT ON ${database} IS '${comment.replaceAll("'", "''")}'`),
  ]);
  const lacking: string[] = [];
  for (const setting of settings) {
    try {
      await session.raw(`ALTER ${database} ${setting.change}`);
    } catch (error) {
      if (errorCode(error) !== sqlStates.insufficientPrivilege) throw error;
      // Its value may be a secret.
      lacking.push(`the login role may not set ${setting.name} of a database`);
    }
  }
  return lacking;
}

/** What migrations may rely on although they did not make it. */
export async function listExtensions(session: Session): Promise<{ readonly name: string; readonly schema: string }[]> {
  return session.query(sql`
    SELECT e.extname AS name, n.nspname AS schema
      FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
     WHERE n.nspname <> 'pg_catalog'
     ORDER BY e.extname COLLATE "C"`);
}

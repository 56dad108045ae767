import type { Context } from '../../context.ts';
import { RefusedError, UsageError } from '../../errors.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import { toFailure } from '../../postgres/failure.ts';
import { quoteIdentifier } from '../../postgres/identifiers.ts';
import { requireClientTools } from '../../postgres/local/require-client-tools.ts';
import { programEnv } from '../../postgres/program-env.ts';
import { runProgram } from '../../postgres/programs.ts';
import type { Session } from '../../postgres/session.ts';
import { applicationName } from '../../postgres/tenant-session.ts';
import type { Fleet } from '../open-fleet.ts';
import type { BuildSite } from './build-site.ts';

/**
 * Copies the structure of schemas that tenants use beside their own into a scratch database, with pg_dump. What cannot
 * be copied is returned, a line each: whether the migrations can do without, they show.
 */
export async function copyStructure(
  context: Context,
  fleet: Fleet,
  { model, major, copied }: Pick<BuildSite, 'model' | 'major' | 'copied'>,
  session: Session,
): Promise<readonly string[]> {
  if (copied.length === 0) return [];
  const what = `what tenants share in schema ${copied.join(', ')}`;
  try {
    for (const schema of copied) await session.raw(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
    const text = await dumpStructure(context, fleet, model, major, session, copied);
    const { error } = await session.script(text);
    if (error === null) return [];
    // What came before the error was one message, and is gone with it.
    return [`${what} could not be made: ${toFailure(error).message}`];
  } catch (error) {
    if (context.interrupts.stop.aborted || session.isBroken) throw error;
    const hint = error instanceof RefusedError || error instanceof UsageError ? error.hint : undefined;
    return [`${what} was not copied: ${toFailure(error).message}${hint === undefined ? '' : ` (${hint})`}`];
  }
}

async function dumpStructure(
  { env, interrupts }: Context,
  fleet: Fleet,
  { server, database }: Tenant,
  major: number,
  session: Session,
  schemas: readonly string[],
): Promise<string> {
  const tools = await requireClientTools(major, env);
  const settings = fleet.servers.settings(server, database);
  const name = applicationName(fleet.run, 'drift');
  const text = await runProgram(tools, 'pg_dump', {
    args: [
      ...['--no-password', '--schema-only', '--no-tablespaces', '--no-publications', '--lock-wait-timeout=10s'],
      ...schemas.flatMap((schema) => ['-n', quoteIdentifier(schema)]),
    ],
    env: await programEnv(settings, session, { env, applicationName: name, settings: { jit: 'off' } }),
    signal: interrupts.stop,
  });
  return asStatements(text, schemas);
}

/** A dump is written for psql: its guards are psql's own, and the schemas stand already. */
function asStatements(text: string, schemas: readonly string[]): string {
  const made = new Set(
    schemas.flatMap((schema) => [`CREATE SCHEMA ${schema};`, `CREATE SCHEMA ${quoteIdentifier(schema)};`]),
  );
  const isGuard = (line: string) => /^\\(?:un)?restrict [A-Za-z0-9]+$/.test(line);
  return text
    .split('\n')
    .filter((line) => !isGuard(line) && !made.has(line))
    .join('\n');
}

import { quoteIdentifier } from '../postgres/identifiers.ts';
import type { Queries } from '../postgres/session.ts';
import type { RoleStatement } from './actors.ts';

/** Statements of one message: a schema of thousands of tables needs thousands. */
const statementsAtOnce = 500;

/** Runs them in the caller's transaction, each as its role; the session is the login's own again afterwards. */
export async function runStatements(session: Queries, statements: readonly RoleStatement[]): Promise<void> {
  const texts: string[] = [];
  let current: string | null | undefined;
  for (const { role, text } of [...statements, { role: null, text: null }]) {
    if (role !== current) texts.push(`SET LOCAL ROLE ${role === null ? 'NONE' : quoteIdentifier(role)}`);
    current = role;
    if (text !== null) texts.push(text);
  }
  for (let from = 0; from < texts.length; from += statementsAtOnce) {
    await session.raw(texts.slice(from, from + statementsAtOnce).join(';\n'));
  }
}

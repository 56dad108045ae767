import { TenantError, UsageError } from '../../errors.ts';
import type { ConnectionSettings } from './connection-settings.ts';

const methods = ['none', 'password', 'md5', 'scram-sha-256', 'gss', 'sspi', 'oauth'] as const;
type Method = (typeof methods)[number];

/** The part of node-postgres' connection that tells how the server wants to be convinced. */
export interface AuthenticationEvents {
  on(event: string, listener: (message: { readonly mechanisms?: readonly string[] }) => void): unknown;
  emit(event: 'error', error: Error): unknown;
  readonly stream: { destroy(): unknown };
}

/** Checks libpq's require_auth: methods with commas, all of them with `!` or none. Returns it as it was written. */
export function parseRequireAuth(text: string | undefined): string | null {
  if (text === undefined || text === '') return null;
  const { names, negated } = split(text);
  const unknown = names.find((name) => !(methods as readonly string[]).includes(name));
  if (unknown !== undefined || negated === 'mixed') {
    throw new UsageError(`require_auth "${text}" is not understood`, {
      hint: `methods with commas, all with "!" or none: ${methods.join(', ')}`,
    });
  }
  return text;
}

/**
 * Makes a connection fail before a password leaves the machine when the server asks for it in a way that require_auth or
 * channel_binding=require rules out. Attach it to `client.connection` before `client.connect()`.
 */
export function guardAuthentication(connection: AuthenticationEvents, settings: ConnectionSettings): void {
  const { channelBinding, requireAuth } = settings.authentication;
  if (channelBinding !== 'require' && requireAuth === null) return;
  let asked: Method = 'none';
  const check = (method: Method, isBound: boolean) => {
    asked = method;
    const isRefused = !allows(requireAuth, method) || (channelBinding === 'require' && !isBound);
    if (!isRefused) return;
    connection.emit('error', refusal(settings, method));
    connection.stream.destroy();
  };
  connection.on('authenticationCleartextPassword', () => check('password', false));
  connection.on('authenticationMD5Password', () => check('md5', false));
  connection.on('authenticationSASL', ({ mechanisms }) =>
    check('scram-sha-256', mechanisms?.includes('SCRAM-SHA-256-PLUS') === true),
  );
  connection.on('authenticationOk', () => {
    if (asked === 'none') check('none', false);
  });
}

function allows(requireAuth: string | null, method: Method): boolean {
  if (requireAuth === null) return true;
  const { names, negated } = split(requireAuth);
  return names.includes(method) !== (negated === 'all');
}

function split(text: string): { names: readonly string[]; negated: 'all' | 'no' | 'mixed' } {
  const words = text.split(',').map((word) => word.trim());
  const count = words.filter((word) => word.startsWith('!')).length;
  const negated = count === 0 ? 'no' : count === words.length ? 'all' : 'mixed';
  return { names: words.map((word) => word.replace(/^!/, '')), negated };
}

function refusal(settings: ConnectionSettings, method: Method): TenantError {
  const { channelBinding, requireAuth } = settings.authentication;
  const rules = [
    ...(requireAuth === null ? [] : [`require_auth=${requireAuth}`]),
    ...(channelBinding === 'require' ? ['channel_binding=require'] : []),
  ];
  const wish = method === 'none' ? 'asks for no authentication' : `asks for ${method} authentication`;
  return new TenantError({
    message: `server ${settings.serverId} ${wish}, which ${rules.join(' and ')} does not allow`,
    code: 'authentication-refused',
    hint: 'is this the right server? channel binding needs SCRAM over TLS, end to end',
  });
}

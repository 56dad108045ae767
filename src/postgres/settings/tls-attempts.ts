import { isIP, Socket } from 'node:net';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import { errorCode, isSqlState } from '../sqlstates.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import { type HostSettings, isSocket } from './hosts.ts';

/** One way to connect to one host. */
export interface TlsAttempt {
  readonly encrypted: boolean;
  /** Goes to node-postgres as it is. */
  readonly ssl: false | ConnectionOptions;
}

/**
 * The ways to connect to a host that sslmode allows, in order. The next one is tried only when `isWorthNextAttempt` says so
 * about the error of the one before; the error to report is the first one's.
 */
export function tlsAttempts(settings: ConnectionSettings, host: HostSettings): readonly TlsAttempt[] {
  const plain: TlsAttempt = { encrypted: false, ssl: false };
  // A unix socket carries no TLS whatever sslmode says: the peer is on this machine.
  if (isSocket(host) || settings.tls.mode === 'disable') return [plain];
  const encrypted: TlsAttempt = { encrypted: true, ssl: tlsOptions(settings, host) };
  if (settings.tls.mode === 'allow') return [plain, encrypted];
  return settings.tls.mode === 'prefer' ? [encrypted, plain] : [encrypted];
}

function tlsOptions(settings: ConnectionSettings, host: HostSettings): ConnectionOptions {
  const { verify } = settings.tls;
  return {
    secureContext: settings.tlsContext(),
    rejectUnauthorized: verify !== 'none',
    // The name that the operator wrote is checked, not the address it led to; an IP must be in the certificate as one.
    checkServerIdentity: verify === 'full' ? (_, cert) => checkServerIdentity(host.host, cert) : () => undefined,
    // SNI is for names only. node-postgres sets it too, but from the address when hostaddr is given.
    ...(isIP(host.host) === 0 ? { servername: host.host } : {}),
  };
}

/** The server's one-byte answer to the question whether it speaks TLS. `none`: not asked, or no answer came. */
export type TlsAnswer = 'none' | 'accepted' | 'refused' | 'error';

/**
 * A socket for one connection of node-postgres that remembers the answer: the library reports a refusal as an error without
 * a code, to be told from others by its text alone.
 */
export function watchTlsAnswer(): { readonly stream: () => Socket; readonly answer: () => TlsAnswer } {
  const answers: Readonly<Record<string, TlsAnswer>> = { S: 'accepted', N: 'refused' };
  let answer: TlsAnswer = 'none';
  const stream = () => {
    const socket = new Socket();
    socket.once('data', (bytes) => {
      answer = answers[bytes.toString('latin1')] ?? 'error';
    });
    return socket;
  };
  return { stream, answer: () => answer };
}

/**
 * True when the other way to connect (see `tlsAttempts`) may succeed where this one failed, as in libpq:
 * the server does not speak TLS, the handshake failed, or the server refused this login in class 28 (pg_hba.conf can
 * tell encrypted connections from plain ones). A host that is down, a timeout or a full server is none of these.
 * With `allow` the first attempt is plain and has no TLS answer: pass `none`.
 */
export function isWorthNextAttempt(attempt: TlsAttempt, error: unknown, answer: TlsAnswer): boolean {
  const code = errorCode(error);
  if (isSqlState(code)) return code.startsWith('28');
  if (!attempt.encrypted) return false;
  // Errors of the handshake carry Node's code; what else fails on an accepted connection carries none or a SQLSTATE.
  return answer === 'refused' || (answer === 'accepted' && code !== null);
}

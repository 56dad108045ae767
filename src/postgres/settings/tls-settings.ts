import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { SecureVersion } from 'node:tls';
import { UsageError } from '../../errors.ts';
import { choose } from './choices.ts';
import type { Keyword, KeywordMap } from './keywords.ts';

const modes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof modes)[number];

const versions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const satisfies readonly SecureVersion[];

/** What the ssl* settings ask for. Paths are absolute; nothing here is secret. */
export interface TlsSettings {
  readonly mode: SslMode;
  /** `direct` starts with the handshake and saves a round trip; the server must be PostgreSQL 17 or newer. */
  readonly negotiation: 'postgres' | 'direct';
  /** What is checked of the server's certificate: nothing, who signed it, or also that it is this host's. */
  readonly verify: 'none' | 'ca' | 'full';
  /** A file, the machine's own trust store, or nothing to check against. */
  readonly rootCert: string | 'system' | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly crl: string | null;
  /** sslpassword is set and there is a key to open with it. */
  readonly hasKeyPassword: boolean;
  readonly minVersion: SecureVersion;
  readonly maxVersion: SecureVersion | null;
}

export interface Folders {
  /** Holds `.postgresql/`, where libpq looks for certificates that no setting names. */
  readonly homeDir: string;
  /** Relative paths in settings start here. */
  readonly baseDir: string;
}

/** libpq's meaning of the ssl* settings, with the files that lie in the home folder. Looks files up, reads none. */
export function resolveTls(settings: KeywordMap, folders: Folders): TlsSettings {
  const usesSystem = settings.get('sslrootcert') === 'system';
  const mode = choose(settings, 'sslmode', modes, usesSystem ? 'verify-full' : 'prefer');
  if (usesSystem && mode !== 'verify-full') {
    throw new UsageError(`sslrootcert=system cannot be used with sslmode=${mode}`, { hint: 'use sslmode=verify-full' });
  }
  const negotiation = choose(settings, 'sslnegotiation', ['postgres', 'direct'], 'postgres');
  if (negotiation === 'direct' && ['disable', 'allow', 'prefer'].includes(mode)) {
    throw new UsageError(`sslnegotiation=direct cannot be used with sslmode=${mode}`, {
      hint: 'use sslmode=require, verify-ca or verify-full',
    });
  }
  const file = (keyword: Keyword, inHome: string) => findFile(settings, keyword, inHome, folders);
  const rootCert = usesSystem ? 'system' : mode === 'disable' ? null : file('sslrootcert', 'root.crt');
  if (rootCert === null && mode.startsWith('verify-')) {
    throw new UsageError(`sslmode=${mode} needs a root certificate`, {
      hint: `set sslrootcert to a file or to "system", or put one at ${inHomeDir(folders, 'root.crt')}`,
    });
  }
  const certificate = mode === 'disable' ? { cert: null, key: null } : clientCertificate(settings, folders, file);
  return {
    mode,
    negotiation,
    // A root certificate that is there is used, also by the modes that do not ask for one: so does libpq.
    verify: mode === 'verify-full' ? 'full' : rootCert === null ? 'none' : 'ca',
    rootCert,
    ...certificate,
    hasKeyPassword: certificate.key !== null && Boolean(settings.get('sslpassword')),
    crl: mode === 'disable' ? null : file('sslcrl', 'root.crl'),
    minVersion: choose(settings, 'ssl_min_protocol_version', versions, 'TLSv1.2'),
    maxVersion: settings.get('ssl_max_protocol_version')
      ? choose(settings, 'ssl_max_protocol_version', versions, 'TLSv1.3')
      : null,
  };
}

function clientCertificate(
  settings: KeywordMap,
  folders: Folders,
  file: (keyword: Keyword, inHome: string) => string | null,
): { cert: string | null; key: string | null } {
  const use = choose(settings, 'sslcertmode', ['disable', 'allow', 'require'], 'allow');
  if (use === 'require') {
    throw new UsageError('sslcertmode=require is not supported', { hint: 'let pg_hba.conf demand the certificate' });
  }
  const cert = use === 'disable' ? null : file('sslcert', 'postgresql.crt');
  if (cert === null) return { cert, key: null };
  const key = file('sslkey', 'postgresql.key');
  if (key !== null) return { cert, key };
  throw new UsageError(`the client certificate "${cert}" has no private key`, {
    hint: `set sslkey, or put it at ${inHomeDir(folders, 'postgresql.key')}`,
  });
}

/** A file that somebody named must be there; one in the home folder is used when it is. */
function findFile(settings: KeywordMap, keyword: Keyword, inHome: string, folders: Folders): string | null {
  const named = settings.get(keyword);
  if (named !== undefined && named !== '') {
    const path = resolve(folders.baseDir, named);
    if (existsSync(path)) return path;
    throw new UsageError(`the file "${path}" of ${keyword} does not exist`, { hint: `correct or remove ${keyword}` });
  }
  const path = inHomeDir(folders, inHome);
  return existsSync(path) ? path : null;
}

function inHomeDir(folders: Folders, name: string): string {
  return join(folders.homeDir, '.postgresql', name);
}

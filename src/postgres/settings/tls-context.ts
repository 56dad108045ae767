import { readFileSync, statSync } from 'node:fs';
import { platform } from 'node:os';
import { createSecureContext, getCACertificates, type SecureContext, type SecureContextOptions } from 'node:tls';
import { UsageError } from '../../errors.ts';
import type { TlsSettings } from './tls-settings.ts';

/**
 * Reads the certificates once for all connections; keys and their password stay inside the context, which cannot be printed.
 * Throws a UsageError that names the file and the setting it comes from.
 */
export function createTlsContext(tls: TlsSettings, keyPassword: string | null): SecureContext {
  const options: SecureContextOptions = { minVersion: tls.minVersion };
  if (tls.maxVersion !== null) options.maxVersion = tls.maxVersion;
  options.ca = trustedRoots(tls);
  if (tls.crl !== null) options.crl = readPem(tls.crl, 'sslcrl', /X509 CRL-----/);
  if (tls.cert !== null && tls.key !== null) {
    options.cert = readPem(tls.cert, 'sslcert', /CERTIFICATE-----/);
    refuseOpenKey(tls.key);
    options.key = readPem(tls.key, 'sslkey', /PRIVATE KEY-----/);
    if (keyPassword !== null) options.passphrase = keyPassword;
  }
  try {
    return createSecureContext(options);
  } catch (error) {
    throw unusable(tls, error);
  }
}

function unusable(tls: TlsSettings, error: unknown): UsageError {
  const files = Object.entries({ sslrootcert: tls.rootCert, sslcrl: tls.crl, sslcert: tls.cert, sslkey: tls.key })
    .filter(([, file]) => file !== null)
    .map(([keyword, file]) => `${keyword} "${file}"`);
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  return new UsageError(`the certificates cannot be used (${code}): ${files.join(', ')}`, {
    hint: 'do key and certificate belong together, and is sslpassword right when the key is encrypted?',
    cause: error,
  });
}

/** An empty list where nothing is verified: Node would else load its own 140 roots. */
function trustedRoots({ rootCert }: TlsSettings): string | string[] {
  if (rootCert === null) return [];
  return rootCert === 'system' ? systemRoots() : readPem(rootCert, 'sslrootcert', /CERTIFICATE-----/);
}

function systemRoots(): string[] {
  const roots = getCACertificates('system');
  if (roots.length > 0) return roots;
  throw new UsageError('sslrootcert=system: this machine has no trusted root certificates', {
    hint: 'install ca-certificates, or name a file in sslrootcert',
  });
}

/** Node takes a file without certificates in silence and would then trust nobody, with an error that names no file. */
function readPem(path: string, keyword: string, marker: RegExp): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new UsageError(`the file "${path}" of ${keyword} cannot be read: ${code}`, { cause: error });
  }
  if (marker.test(text)) return text;
  throw new UsageError(`the file "${path}" of ${keyword} is not in PEM format, or holds something else`);
}

function refuseOpenKey(path: string): void {
  if (platform() === 'win32') return;
  const { mode, uid } = statSync(path);
  const forbidden = uid === 0 ? 0o037 : 0o077;
  if ((mode & forbidden) === 0) return;
  throw new UsageError(`the private key "${path}" of sslkey can be read by others`, { hint: `chmod 600 ${path}` });
}

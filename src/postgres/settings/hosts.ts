import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import { UsageError } from '../../errors.ts';
import type { KeywordMap } from './keywords.ts';

/** One server address to try. */
export interface HostSettings {
  /** A name, an address, or the absolute folder of a unix socket. Certificates are checked against it. */
  readonly host: string;
  /** The address to connect to in place of looking `host` up. */
  readonly hostaddr: string | null;
  readonly port: number;
}

/** Where servers put their socket unless told otherwise: Debian and RHEL, then upstream. */
export const defaultSocketDirs: readonly string[] = ['/var/run/postgresql', '/tmp'];

export function isSocket(host: HostSettings): boolean {
  return host.hostaddr === null && host.host.startsWith('/');
}

/** The hosts in the order they were written; no host at all means the local socket. */
export function resolveHosts(settings: KeywordMap, socketDirs: readonly string[]): readonly HostSettings[] {
  const names = list(settings.get('host'));
  const addresses = list(settings.get('hostaddr'));
  const ports = list(settings.get('port')) ?? [''];
  const count = (addresses ?? names ?? ['']).length;
  if (names !== null && addresses !== null && names.length !== addresses.length) {
    throw new UsageError(`${names.length} host and ${addresses.length} hostaddr values do not pair up`);
  }
  if (ports.length !== 1 && ports.length !== count) {
    throw new UsageError(`${ports.length} port values do not pair up with ${count} hosts`, {
      hint: 'give one port for all hosts, or one for each',
    });
  }
  return Array.from({ length: count }, (_, i) =>
    toHost(names?.[i] ?? '', addresses?.[i] ?? '', (ports.length === 1 ? ports[0] : ports[i]) ?? '', socketDirs),
  );
}

function toHost(name: string, address: string, port: string, socketDirs: readonly string[]): HostSettings {
  if (address !== '' && isIP(address) === 0) {
    throw new UsageError(`hostaddr "${address}" is not an IP address`, { hint: 'names go into host' });
  }
  if (name.startsWith('@')) {
    throw new UsageError(`host "${name}": abstract unix sockets are not supported`);
  }
  const host = name || address || (socketDirs.find((dir) => existsSync(dir)) ?? 'localhost');
  return { host, hostaddr: address === '' ? null : address, port: toPort(port) };
}

function toPort(text: string): number {
  const port = text.trim() === '' ? 5432 : Number(text);
  if (/^\s*\d*\s*$/.test(text) && port >= 1 && port <= 65535) return port;
  throw new UsageError('the port is not a number from 1 to 65535');
}

function list(text: string | undefined): readonly string[] | null {
  return text === undefined || text === '' ? null : text.split(',');
}

import { UsageError } from '../../errors.ts';
import { isKeyword, type Keyword, type KeywordMap } from './keywords.ts';
import { unknownParameter } from './unknown-parameter.ts';

/**
 * Reads a `postgres://` URL by libpq's rules, which are not those of web URLs: several hosts, any part may be empty,
 * `+` is a plus. Stricter in one thing: a bare `@` in a host or database name is refused, for it always comes from a
 * password that was not percent-encoded.
 */
export function parseConninfoUrl(url: string): KeywordMap {
  const found = new Map<Keyword, string>();
  const rest = url.slice(url.indexOf('://') + 3);
  const credentials = /^([^@/]*)@/.exec(rest)?.[1];
  const [beforeQuery, query] = splitOnce(credentials === undefined ? rest : rest.slice(credentials.length + 1), '?');
  const [hosts, database] = splitOnce(beforeQuery, '/');
  if (beforeQuery.includes('@')) {
    throw new UsageError('the url has an "@" in its host or database name', {
      hint: 'percent-encode the password: @ is %40, / is %2F, : is %3A, % is %25',
    });
  }
  if (credentials !== undefined) {
    const [user, password] = splitOnce(credentials, ':');
    store(found, 'user', user);
    store(found, 'password', password);
  }
  readHosts(hosts, found);
  store(found, 'dbname', database);
  for (const parameter of query?.split('&') ?? []) readParameter(parameter, found);
  return found;
}

function readHosts(text: string, found: Map<Keyword, string>): void {
  const pairs = text.split(',').map(readHost);
  const hosts = pairs.map(({ host }) => host).join(',');
  const ports = pairs.map(({ port }) => port).join(',');
  store(found, 'host', hosts);
  store(found, 'port', ports);
}

function readHost(text: string): { host: string; port: string } {
  const bracketed = /^\[([^\]]*)\](.*)$/s.exec(text);
  if (text.startsWith('[') && (bracketed === null || bracketed[1] === '')) {
    throw new UsageError('the url has an IPv6 address that is empty or lacks its closing "]"');
  }
  const [host, port] = bracketed === null ? splitOnce(text, ':') : splitOnce(bracketed[2] ?? '', ':');
  if (bracketed !== null && host !== '') {
    throw new UsageError('the url has something else than a port after the "]" of an IPv6 address');
  }
  if (port !== undefined && !/^\d*$/.test(port)) {
    throw new UsageError('the url has a port that is not a number', {
      hint: 'percent-encode the password, and put IPv6 addresses in brackets',
    });
  }
  return { host: bracketed?.[1] ?? host, port: port ?? '' };
}

function readParameter(text: string, found: Map<Keyword, string>): void {
  if (text === '') return;
  const [rawName, rawValue] = splitOnce(text, '=');
  const name = decode(rawName);
  if (rawValue === undefined || rawValue.includes('=')) {
    const shown = isKeyword(name) ? ` "${name}"` : '';
    throw new UsageError(`the url's parameter${shown} must have exactly one "="`, {
      hint: 'percent-encode an "=" of the value as %3D',
    });
  }
  const value = decode(rawValue);
  // What JDBC calls ssl=true.
  if (name === 'ssl' && value === 'true') found.set('sslmode', 'require');
  else if (name === 'requiressl') found.set('sslmode', value.startsWith('1') ? 'require' : 'prefer');
  else if (isKeyword(name)) found.set(name, value);
  else throw unknownParameter(name);
}

/** An empty part of a URL is an absent one, so that the environment and the defaults still count. */
function store(found: Map<Keyword, string>, keyword: Keyword, encoded: string | undefined): void {
  if (encoded !== undefined && encoded !== '') found.set(keyword, decode(encoded));
}

function decode(text: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    throw new UsageError('the url has a "%" that is not followed by two hexadecimal digits, or is not UTF-8', {
      hint: 'write %25 for a percent sign',
    });
  }
  if (decoded.includes('\0')) throw new UsageError('the url has a %00, which no setting can hold');
  return decoded;
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

import { isIPv6 } from 'node:net';
import type { ConnectionSettings } from './connection-settings.ts';
import { parseConninfo } from './conninfo.ts';
import { type HostSettings, isSocket } from './hosts.ts';
import { isKeyword, type KeywordMap, secretKeywords } from './keywords.ts';

/** `postgres://user@host:5432/db?sslmode=verify-full`, for messages: what was resolved, without any secret. */
export function describeConnection(settings: ConnectionSettings): string {
  const { hosts, user, database, tls } = settings;
  const first = hosts[0];
  const start = `postgres://${encodeURIComponent(user)}@`;
  const path = `/${encodeURIComponent(database)}`;
  if (hosts.length === 1 && first !== undefined && isSocket(first)) {
    return `${start}${path}?host=${first.host}&port=${first.port}`;
  }
  return `${start}${hosts.map(describeHost).join(',')}${path}?sslmode=${tls.mode}`;
}

/** `db-1.internal:5432`, `[::1]:5432`, `/var/run/postgresql:5432`. */
export function describeHost(host: HostSettings): string {
  const name = isIPv6(host.host) ? `[${host.host}]` : isSocket(host) ? encodeURIComponent(host.host) : host.host;
  return `${name}:${host.port}`;
}

/**
 * A connection string as a person wrote it, fit to be shown. What cannot be parsed loses more than it must: a mistyped
 * string often has its password in the wrong place.
 */
export function redactConninfo(text: string): string {
  let settings: KeywordMap;
  try {
    settings = parseConninfo(text);
  } catch {
    return redactUnparsed(text);
  }
  const trimmed = text.trim();
  if (/^postgres(ql)?:\/\//.test(trimmed)) return redactUrl(trimmed);
  return [...settings].map(([keyword, value]) => `${keyword}=${isSecret(keyword) ? '***' : quote(value)}`).join(' ');
}

function redactUrl(url: string): string {
  const withoutPassword = url.replace(/^([a-z]+:\/\/[^:@/]*):[^@/]*@/, '$1:***@');
  return withoutPassword.replace(/([?&])([^=&]*)=([^&]*)/g, (whole, separator: string, name: string) =>
    isSecret(decodeURIComponent(name)) ? `${separator}${name}=***` : whole,
  );
}

function redactUnparsed(text: string): string {
  const scheme = /^\s*([a-z][a-z0-9+.-]*:\/\/)/i.exec(text)?.[1];
  if (scheme !== undefined) {
    const at = text.lastIndexOf('@');
    return at === -1 ? `${scheme}***` : `${scheme}***@${text.slice(at + 1).replace(/\?.*$/s, '?***')}`;
  }
  const words = text.trim().split(/\s+/);
  const doubtful = words.findIndex((word) => !isHarmlessPair(word));
  return doubtful === -1 ? words.join(' ') : [...words.slice(0, doubtful), '***'].join(' ');
}

function isHarmlessPair(word: string): boolean {
  const equals = word.indexOf('=');
  const keyword = word.slice(0, Math.max(equals, 0));
  return isKeyword(keyword) && !isSecret(keyword);
}

function isSecret(keyword: string): boolean {
  return (secretKeywords as readonly string[]).includes(keyword);
}

function quote(value: string): string {
  return /^[^\s'\\]+$/.test(value) ? value : `'${value.replace(/[\\']/g, '\\$&')}'`;
}

import { parseFileTime } from '../../backups/repository/names.ts';
import { UsageError } from '../../errors.ts';

/** A time as it was typed: both ends included, as far as it says them (a day is all of it). Null: `latest`. */
export interface BackupTime {
  readonly text: string;
  readonly span: null | { readonly from: Date; readonly to: Date };
}

const dayMs = 86_400_000;

/**
 * Reads `latest`, RFC 3339 (`2026-11-22T10:15:00Z`; seconds need not be said), the name of a backup's files
 * (`2026-11-22T101500.123Z`), or a day in UTC (`2026-11-22`).
 */
export function readBackupTime(text: string, flag = '--at'): BackupTime {
  if (text === 'latest') return { text, span: null };
  const exact = parseFileTime(text);
  const span = exact === null ? (spanOfDay(text) ?? spanOfInstant(text)) : { from: exact, to: exact };
  if (span !== null) return { text, span };
  throw new UsageError(`${flag} takes a time, not ${JSON.stringify(text)}`, {
    hint: 'like 2026-11-22T10:15:00Z (with its zone), 2026-11-22, 2026-11-22T101500.123Z as `tenantctl backups list` shows it, or latest',
  });
}

function spanOfDay(text: string): BackupTime['span'] {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return null;
  const from = new Date(`${text}T00:00:00.000Z`);
  if (Number.isNaN(from.getTime()) || from.toISOString().slice(0, 10) !== text) return null;
  return { from, to: new Date(from.getTime() + dayMs - 1) };
}

function spanOfInstant(text: string): BackupTime['span'] {
  const match = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(:\d\d)?(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/.exec(text);
  if (match === null) return null;
  const [, day = '', minute = '', second, fraction, zone = ''] = match;
  if ((second === undefined && fraction !== undefined) || spanOfDay(day) === null) return null;
  // A day that is not there in that month was found above; Date would take it for one of the next.
  const from = new Date(`${day}T${minute}${second ?? ':00'}${fraction?.slice(0, 4) ?? ''}${zone.toUpperCase()}`);
  if (Number.isNaN(from.getTime())) return null;
  const precisionMs =
    second === undefined ? 60_000 : fraction === undefined ? 1000 : 10 ** Math.max(0, 4 - fraction.length);
  return { from, to: new Date(from.getTime() + precisionMs - 1) };
}

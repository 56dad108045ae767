import { inflateSync, zstdDecompressSync } from 'node:zlib';
import { readToc } from '../../../src/backups/archive/read-archive.ts';
import type { ArchiveHeader, TocEntry } from '../../../src/backups/archive/types.ts';
import { inOnePiece } from './archives.ts';

/**
 * Prints an archive as `pg_restore -f -` does, for archives newer than the pg_restore at hand. It finds data by the
 * offsets, as pg_restore does in a file. Only what the fixtures need.
 */
export async function renderArchive(archive: Buffer): Promise<string> {
  const { header, entries } = await readToc(inOnePiece(archive));
  const sql = [fixedSettings(header, entries)];
  let hasTable = false;
  for (const entry of entries.toSorted((a, b) => passOf(a) - passOf(b))) {
    if (['ENCODING', 'STDSTRINGS', 'SEARCHPATH'].includes(entry.kind)) continue;
    if (entry.kind === 'TABLE' && !hasTable) {
      hasTable = true;
      sql.push("SET default_tablespace = '';\n\nSET default_table_access_method = heap;\n\n");
    }
    sql.push(renderEntry(entry, header, archive));
  }
  return `${sql.join('')}--\n-- PostgreSQL database dump complete\n--\n`;
}

/** pg_restore writes privileges after everything else, and then what needs them. */
function passOf({ kind }: TocEntry): number {
  if (/^(?:DEFAULT )?ACL$/.test(kind)) return 1;
  return kind === 'MATERIALIZED VIEW DATA' || kind === 'EVENT TRIGGER' ? 2 : 0;
}

function fixedSettings(header: ArchiveHeader, entries: readonly TocEntry[]): string {
  const settingOf = (kind: string) => entries.find((entry) => entry.kind === kind)?.definition ?? '';
  return [
    '--\n-- PostgreSQL database dump\n--\n\n\n\n',
    'SET statement_timeout = 0;\nSET lock_timeout = 0;\nSET idle_in_transaction_session_timeout = 0;\n',
    header.version[1] >= 16 ? 'SET transaction_timeout = 0;\n' : '',
    settingOf('ENCODING'),
    settingOf('STDSTRINGS').replaceAll("'", ''),
    settingOf('SEARCHPATH'),
    'SET check_function_bodies = false;\nSET xmloption = content;\nSET client_min_messages = warning;\n',
    'SET row_security = off;\n\n',
  ].join('');
}

function renderEntry(entry: TocEntry, header: ArchiveHeader, archive: Buffer): string {
  const { kind, tag, namespace, owner, definition } = entry;
  const prefix = entry.section === 'data' && kind !== 'SEQUENCE SET' ? 'Data for ' : '';
  const title = `${prefix}Name: ${tag}; Type: ${kind}; Schema: ${namespace ?? '-'}; Owner: ${owner || '-'}`;
  const body = entry.hasDumper
    ? `${entry.copyStatement}${readData(entry, header, archive).toString('utf8')}`
    : definition === ''
      ? ''
      : `${definition}\n\n`;
  return `--\n-- ${title}\n--\n\n${body}${renderOwner(entry, header)}`;
}

const owned =
  /^(?:AGGREGATE|COLLATION|DOMAIN|FUNCTION|PROCEDURE|OPERATOR|SCHEMA|TABLE|TYPE|VIEW|MATERIALIZED VIEW|SEQUENCE|STATISTICS|TEXT SEARCH CONFIGURATION)$/;

function renderOwner({ kind, owner, dropStatement }: TocEntry, header: ArchiveHeader): string {
  if (!owned.test(kind) || !owner || !dropStatement) return '';
  const object = dropStatement.replace(/^DROP /, '').replace(/;\n$/, '');
  const named = header.version[1] >= 16 ? object : object.replace(/^(?:SEQUENCE|MATERIALIZED VIEW|VIEW) /, 'TABLE ');
  return `ALTER ${named} OWNER TO ${owner};\n\n`;
}

/** The data of an entry, found by its offset. */
function readData({ dumpId, data }: TocEntry, { compression }: ArchiveHeader, archive: Buffer): Buffer {
  let at = Number(data.offset);
  if (data.state !== 'set' || archive[at] !== 1 || archive.readUInt32LE(at + 2) !== dumpId) {
    throw new Error(`the offset of entry ${dumpId} does not point at its data`);
  }
  const chunks: Buffer[] = [];
  at += 6;
  for (let length = archive.readUInt32LE(at + 1); length > 0; length = archive.readUInt32LE(at + 1)) {
    chunks.push(archive.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  const bytes = Buffer.concat(chunks);
  if (compression === 'none') return bytes;
  return compression === 'zstd' ? zstdDecompressSync(bytes) : inflateSync(bytes);
}

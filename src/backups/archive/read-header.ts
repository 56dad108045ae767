import { intAt, intBytes, textAt, textLengthAt } from './byte-reader.ts';
import { damaged, unsupported } from './damage.ts';
import type { ArchiveHeader } from './types.ts';

/** Magic, version, sizes and format: they stand in the same places in each version. */
export const fixedHeaderBytes = 11;

const oldestMinor = 12;
const newestMinor = 16;
/** Since this minor the method of compression stands there, not a level of zlib. */
const methodMinor = 15;
const methods = ['none', 'gzip', 'lz4', 'zstd'] as const;
const customFormat = 1;

/** Throws what is wrong with the first bytes: no archive, of another format, of a version that is not known here. */
export function checkFixedHeader(bytes: Buffer): void {
  if (bytes.toString('latin1', 0, 5) !== 'PGDMP') throw damaged('no archive of pg_dump in custom format begins', 0);
  const [major, minor, , intSize, offsetSize, format] = bytes.subarray(5, fixedHeaderBytes);
  if (major !== 1 || minor! < oldestMinor || minor! > newestMinor) {
    throw unsupported(
      `an archive of version ${major}.${minor} cannot be read here`,
      `versions 1.${oldestMinor} to 1.${newestMinor} can, of PostgreSQL 10 to 18; a newer tenantctl may know more`,
    );
  }
  if (intSize !== 4 || offsetSize !== 8) throw damaged(`numbers of ${intSize} and ${offsetSize} bytes`, 8);
  if (format !== customFormat) {
    throw unsupported('the archive is not in custom format', 'pg_dump writes it with -Fc');
  }
}

/** Gives the end of the header, without the number of entries; negative: so many bytes are missing, at least. */
export function walkHeader(bytes: Buffer): number {
  let at = fixedHeaderBytes + (bytes[6]! < methodMinor ? intBytes : 1) + 7 * intBytes;
  for (let text = 0; text < 3; text += 1) {
    if (at + intBytes > bytes.length) return bytes.length - at - intBytes;
    at += intBytes + Math.max(0, textLengthAt(bytes, at, 0));
  }
  return at > bytes.length ? bytes.length - at : at;
}

/** All of the header must be there: `walkHeader` said where it ends. */
export function decodeHeader(bytes: Buffer, end: number): ArchiveHeader {
  const minor = bytes[6]!;
  const hasMethod = minor >= methodMinor;
  const compression = hasMethod ? methods[bytes[fixedHeaderBytes]!] : methodOfLevel(intAt(bytes, fixedHeaderBytes, 0));
  if (compression === undefined) throw damaged('an unknown compression', fixedHeaderBytes);
  const texts: (string | null)[] = [];
  for (let at = fixedHeaderBytes + (hasMethod ? 1 : intBytes) + 7 * intBytes; at < end; ) {
    texts.push(textAt(bytes, at));
    at += intBytes + Math.max(0, textLengthAt(bytes, at, 0));
  }
  const [databaseName = null, serverVersion = null, dumpVersion = null] = texts;
  return {
    version: [1, minor, bytes[7]!],
    intSize: 4,
    offsetSize: 8,
    compression,
    databaseName,
    serverVersion,
    dumpVersion,
    raw: Buffer.from(bytes.subarray(0, end)),
  };
}

/** Until 1.14: -1 is zlib's own choice, 0 none. */
function methodOfLevel(level: number): ArchiveHeader['compression'] | undefined {
  if (level === 0) return 'none';
  return level >= -1 && level <= 9 ? 'gzip' : undefined;
}

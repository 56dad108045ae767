import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { TenantError } from '../../errors.ts';
import { readToc } from '../archive/read-archive.ts';
import type { Toc } from '../archive/types.ts';
import type { BackupManifest } from '../repository/manifest.ts';
import type { FetchedArchive } from './restore-types.ts';

/**
 * Brings an archive to this machine and compares it with its manifest while it comes: a server is touched only when
 * every byte is right. Throws a TenantError `archive-damaged`.
 */
export async function fetchArchive(
  open: (signal: AbortSignal) => Promise<Readable>,
  { archive }: Pick<BackupManifest, 'archive'>,
  signal: AbortSignal,
): Promise<FetchedArchive> {
  const folder = await mkdtemp(join(tmpdir(), 'tenantctl-restore-'));
  const discard = () => rm(folder, { recursive: true, force: true });
  try {
    const path = join(folder, 'archive.dump');
    const hash = createHash('sha256');
    let sizeBytes = 0;
    const measure = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        sizeBytes += chunk.length;
        done(null, chunk);
      },
    });
    await pipeline(await open(signal), measure, createWriteStream(path, { mode: 0o600 }), { signal });
    if (sizeBytes !== archive.sizeBytes || hash.digest('hex') !== archive.sha256) throw damagedArchive();
    return { path, discard };
  } catch (error) {
    await discard();
    throw error;
  }
}

export function readArchiveToc(path: string): Promise<Toc> {
  return readToc(createReadStream(path));
}

function damagedArchive(): TenantError {
  return new TenantError({
    message: 'the archive is not the one that its manifest describes: size or sha256 differ',
    code: 'archive-damaged',
    hint: 'nothing was touched; take an older backup (--at), and look at all of them: tenantctl verify',
  });
}

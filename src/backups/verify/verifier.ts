import { toFailure } from '../../postgres/failure.ts';
import type { Backup, VerificationLevel, VerificationResult } from '../repository/backup.ts';
import type { BackupManifest } from '../repository/manifest.ts';
import type { Repository } from '../repository/repository.ts';
import { checkContent, checkFiles, type FileCheck } from './check-files.ts';
import { checkRestore, type RestoreMeans } from './check-restore.ts';
import { Companions } from './companions.ts';

/** What was found about one backup. */
export interface VerifiedBackup {
  /** `2026-11-22T101500.123Z` */
  readonly backup: string;
  readonly takenAt: string;
  readonly level: VerificationLevel;
  readonly verdict: VerificationResult['verdict'];
  readonly durationMs: number;
  /** Of the archive; null when nothing was read. */
  readonly bytesPerSecond: number | null;
  readonly problems: readonly string[];
  readonly remarks: readonly string[];
  /** As the manifest has them. */
  readonly tables: number;
  readonly rows: number;
}

export interface VerifierOptions {
  readonly repository: Repository;
  readonly level: VerificationLevel;
  /** For level `restore`: how an archive is tried out. Throws when there is no server for it. */
  readonly meansFor: ((manifest: BackupManifest) => RestoreMeans) | null;
  readonly run: string;
  /** Of tenantctl. */
  readonly version: string;
  readonly now: () => Date;
}

/** What must be known of a tenant to try its backup out. */
export interface VerifiedTenant {
  readonly searchPath: readonly string[];
  /** Schemas of other tenants that are tried out in the same run. */
  readonly others: ReadonlySet<string>;
}

interface Findings {
  readonly problems: readonly string[];
  readonly obstacle: string | null;
  readonly remarks: readonly string[];
  readonly durationMs: number;
  /** Version of the server that it was restored into. */
  readonly server?: string;
}

/** Looks at backups at one level, and keeps what it finds beside them. */
export class Verifier {
  readonly #options: VerifierOptions;
  readonly #companions: Companions;

  constructor(options: VerifierOptions) {
    this.#options = options;
    this.#companions = new Companions(options.repository, options.level === 'manifest' ? 'manifest' : 'content');
  }

  /** Rejects when `signal` is aborted; whatever else goes wrong is an answer: bad, or could not run. */
  async verify(backup: Backup, tenant: VerifiedTenant, signal: AbortSignal): Promise<VerifiedBackup> {
    const found = await this.#look(backup, tenant, signal);
    const verified = describe(backup, this.#options.level, found);
    const unsaved = await this.#save(backup, verified, found.server ?? null);
    return unsaved === null ? verified : { ...verified, remarks: [...verified.remarks, unsaved] };
  }

  async #look(backup: Backup, tenant: VerifiedTenant, signal: AbortSignal): Promise<Findings> {
    const beganAt = performance.now();
    try {
      return await this.#lookAtLevel(backup, tenant, signal);
    } catch (error) {
      signal.throwIfAborted();
      const { message, code } = toFailure(error);
      // A mistake of ours is not the store's, nor the scratch server's.
      if (code === 'internal') throw error;
      return { problems: [], obstacle: message, remarks: [], durationMs: performance.now() - beganAt };
    }
  }

  async #lookAtLevel(backup: Backup, tenant: VerifiedTenant, signal: AbortSignal): Promise<Findings> {
    const { repository, level, meansFor } = this.#options;
    const { manifest } = backup;
    const beganAt = performance.now();
    const look = level === 'manifest' ? checkFiles : checkContent;
    const files = await look(repository, backup, signal);
    const durationMs = performance.now() - beganAt;
    const companions = manifest === null ? noCompanions : await this.#companions.check(manifest, signal);
    const found: Findings = { ...mergeChecks(files, companions), remarks: [], durationMs };
    const isWhole = found.problems.length === 0 && companions.obstacle === null && manifest !== null;
    if (meansFor === null || !isWhole || files.toc === null) return found;
    const means = meansFor(manifest);
    const restored = await checkRestore(repository, { backup, manifest, toc: files.toc, ...tenant }, means, signal);
    // What could not be inflated here was all the same restored by PostgreSQL's own program.
    const remarks = [
      ...(files.obstacle === null ? [] : [`content was not read: ${files.obstacle}`]),
      ...restored.remarks,
    ];
    return { ...restored, remarks, server: means.pool.server.version };
  }

  /** Null: it is kept. */
  async #save(backup: Backup, verified: VerifiedBackup, server: string | null): Promise<string | null> {
    const { verdict, level, durationMs, problems, remarks } = verified;
    const { repository, now, run, version } = this.#options;
    // What could not run is no news where something is known.
    const isKnown = backup.verification?.results.some((result) => result.level === level) === true;
    // And nothing is written beside what has no manifest: it is no backup.
    if ((verdict === 'could-not-run' && isKnown) || backup.keys.manifest === null) return null;
    const at = now().toISOString();
    try {
      await repository.putVerification(backup, {
        ...{ level, verdict, at, durationMs, run, tenantctl: version, server, problems, remarks },
      });
      return null;
    } catch (error) {
      return `the result was not kept: ${toFailure(error).message}`;
    }
  }
}

const noCompanions = { problems: [], obstacle: null };

function mergeChecks(
  files: FileCheck,
  companions: Pick<FileCheck, 'problems' | 'obstacle'>,
): Pick<FileCheck, 'problems' | 'obstacle'> {
  return {
    problems: [...files.problems, ...companions.problems],
    obstacle: files.obstacle ?? companions.obstacle,
  };
}

function describe(backup: Backup, level: VerificationLevel, found: Findings): VerifiedBackup {
  const { manifest } = backup;
  const { problems, obstacle } = found;
  const verdict = problems.length > 0 ? 'bad' : obstacle === null ? 'passed' : 'could-not-run';
  const durationMs = Math.round(found.durationMs);
  const sizeBytes = manifest?.archive.sizeBytes ?? null;
  return {
    backup: backup.time,
    takenAt: backup.takenAt.toISOString(),
    level,
    verdict,
    durationMs,
    bytesPerSecond: sizeBytes === null ? null : Math.round((sizeBytes / Math.max(1, durationMs)) * 1000),
    problems: obstacle === null ? problems : [...problems, obstacle],
    remarks: found.remarks,
    tables: manifest?.tables.length ?? 0,
    rows: manifest?.tables.reduce((sum, { rows }) => sum + (rows ?? 0), 0) ?? 0,
  };
}

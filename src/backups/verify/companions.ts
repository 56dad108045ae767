import type { BackupManifest } from '../repository/manifest.ts';
import type { Repository } from '../repository/repository.ts';
import { checkContent, checkFiles, type FileCheck } from './check-files.ts';

/** What archives of tenants need and do not hold: shared objects, roles, large objects. Each is looked at once a run. */
export class Companions {
  readonly #repository: Repository;
  readonly #level: 'manifest' | 'content';
  readonly #checks = new Map<string, Promise<FileCheck>>();

  constructor(repository: Repository, level: 'manifest' | 'content') {
    this.#repository = repository;
    this.#level = level;
  }

  /** What is wrong with those that this backup names; each line begins with the file. */
  async check({ needs }: BackupManifest, signal: AbortSignal): Promise<Pick<FileCheck, 'problems' | 'obstacle'>> {
    const keys = [needs.shared, needs.rolesFile, needs.largeObjects].filter((key) => key !== null);
    const found = await Promise.all(keys.map((key) => this.#once(key, signal)));
    const problems = found.flatMap((check, index) => check.problems.map((problem) => `${keys[index]}: ${problem}`));
    const stopped = found.findIndex(({ obstacle }) => obstacle !== null);
    return { problems, obstacle: stopped < 0 ? null : `${keys[stopped]}: ${found[stopped]!.obstacle}` };
  }

  #once(key: string, signal: AbortSignal): Promise<FileCheck> {
    let check = this.#checks.get(key);
    if (check === undefined) {
      check = this.#look(key, signal);
      this.#checks.set(key, check);
      // An answer that did not come (a store that is away) is asked for again by the next tenant.
      check.catch(() => this.#checks.delete(key));
    }
    return check;
  }

  async #look(key: string, signal: AbortSignal): Promise<FileCheck> {
    const backup = await this.#repository.findBackup(key);
    if (backup === null) return { problems: ['it is not in the store'], obstacle: null, toc: null };
    const look = this.#level === 'manifest' ? checkFiles : checkContent;
    return look(this.#repository, backup, signal);
  }
}

import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { TenantError } from '../../errors.ts';
import type { ClientTools } from '../../postgres/local/client-tools.ts';
import { type RunningProgram, startProgram } from '../../postgres/programs.ts';
import { programFailure } from './program-failure.ts';
import type { SqlRunner } from './sql-text.ts';

export interface PsqlOptions {
  readonly tools: ClientTools;
  /** From `programEnv`. */
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Ends a backend whose psql was given up: it may be in the middle of an index and would end that first. */
  readonly endBackend: (pid: number) => Promise<void>;
}

/**
 * One transaction in psql, which takes the SQL text and the rows of an archive as they come. It ends with COMMIT only
 * when `commit` is called: whatever else ends psql, an error, a kill of either side, rolls all of it back.
 */
export class PsqlTransaction implements SqlRunner {
  readonly #psql: RunningProgram;
  readonly #mark = `tenantctl-${randomBytes(9).toString('hex')}`;
  /** What psql printed since the last mark. */
  #printed = '';
  #waiting: ((printed: string) => void) | null = null;
  readonly #failed: Promise<never>;

  private constructor(psql: RunningProgram) {
    this.#psql = psql;
    psql.stdout.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.#failed = psql.ended.then(
      () => {
        throw new TenantError({ message: 'psql ended before its work was done', code: 'program' });
      },
      (error: unknown) => {
        throw programFailure(error);
      },
    );
    this.#failed.catch(() => {});
  }

  /** Gives `work` a transaction and commits when it resolves. Rejects with the server's first error. */
  static async use<T>(options: PsqlOptions, work: (transaction: PsqlTransaction) => Promise<T>): Promise<T> {
    const args = ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '--no-password'];
    const psql = startProgram(options.tools, 'psql', { ...options, args, hasInput: true });
    const transaction = new PsqlTransaction(psql);
    let pid: number | null = null;
    try {
      await transaction.run('BEGIN');
      const [backend] = await transaction.rows<{ pid: number }>('SELECT pg_catalog.pg_backend_pid() AS pid');
      pid = backend?.pid ?? null;
      const result = await work(transaction);
      await transaction.run('COMMIT');
      psql.stdin?.end();
      await psql.ended.catch(() => {});
      return result;
    } catch (error) {
      psql.stop();
      await psql.ended.catch(() => {});
      if (pid !== null) await options.endBackend(pid).catch(() => {});
      options.signal.throwIfAborted();
      throw error;
    }
  }

  async run(text: string): Promise<void> {
    await this.#ask(`${text};\n`);
  }

  async rows<Row>(select: string): Promise<readonly Row[]> {
    const query = `SELECT coalesce(pg_catalog.jsonb_agg(q), '[]'::jsonb) FROM (${select}) q;\n`;
    return JSON.parse(await this.#ask(query)) as Row[];
  }

  /**
   * Runs what a program writes: SQL, and rows after a COPY. `ended`: of that program, which may stop in the middle of a
   * table; only its own word says that this was all. Resolves when psql has done all of it.
   */
  async feed(source: Readable, ended: Promise<unknown>): Promise<void> {
    const stdin = this.#psql.stdin!;
    const piped = new Promise<void>((resolve, reject) => {
      source.on('end', resolve).on('error', reject);
      source.pipe(stdin, { end: false });
    });
    piped.catch(() => {});
    try {
      await Promise.race([piped, this.#failed]);
      await ended;
    } finally {
      source.unpipe(stdin);
    }
    await this.#ask('');
  }

  /** Sends a text and gives what it prints. */
  async #ask(text: string): Promise<string> {
    const printed = new Promise<string>((resolve) => {
      this.#waiting = resolve;
    });
    this.#psql.stdin?.write(`${text}\\echo ${this.#mark}\n`);
    return Promise.race([printed, this.#failed]);
  }

  #read(text: string): void {
    this.#printed += text;
    const end = this.#printed.indexOf(`${this.#mark}\n`);
    if (end < 0) {
      // What an archive's own SELECTs print (setval) is of no use.
      if (this.#waiting === null) this.#printed = '';
      return;
    }
    const printed = this.#printed.slice(0, end);
    this.#printed = this.#printed.slice(end + this.#mark.length + 1);
    const resolve = this.#waiting;
    this.#waiting = null;
    resolve?.(printed);
  }
}

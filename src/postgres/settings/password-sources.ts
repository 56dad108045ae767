import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { TenantError, UsageError } from '../../errors.ts';
import { firstLine, readPasswordFromCommand } from './password-command.ts';

/** Structurally the inventory's `password`. */
export type PasswordSource =
  | { readonly env: string }
  | { readonly file: string }
  | { readonly command: readonly string[] }
  | { readonly awsSecret: string }
  | { readonly rdsIam: true };

export interface PasswordRequest {
  readonly serverId: string;
  readonly source: PasswordSource;
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

/** Fetches a password from somewhere else. A secret is kept for five minutes, an IAM token not at all. */
export type PasswordProvider = (request: PasswordRequest) => Promise<string>;

export interface PasswordCacheOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Files are relative to it and commands run in it: the inventory's folder. */
  readonly baseDir: string;
  /** Those of AWS. */
  readonly providers?: { readonly awsSecret?: PasswordProvider; readonly rdsIam?: PasswordProvider };
  readonly now?: () => number;
  readonly commandTimeoutMs?: number;
}

const keptMs = 5 * 60_000;
/** A failure is kept shortly, so that a thousand tenants do not each wait for a vault that is down. */
const failureKeptMs = 30_000;

interface Kept {
  readonly password: Promise<string>;
  expiresAt: number;
}

/** The passwords of one run: what is slow to get is fetched once a server, also when many connections ask at once. */
export class PasswordCache {
  readonly #options: PasswordCacheOptions;
  readonly #now: () => number;
  readonly #kept = new Map<string, Kept>();

  constructor(options: PasswordCacheOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Throws a UsageError for what is wrong with a source before any server is touched. Runs no command and asks nobody.
   * `usesTls`: no connection goes without.
   */
  check(serverId: string, source: PasswordSource, { usesTls = true }: { readonly usesTls?: boolean } = {}): void {
    if ('env' in source) this.#fromEnv(serverId, source.env);
    if ('file' in source) this.#fromFile(serverId, source.file);
    if ('awsSecret' in source || 'rdsIam' in source) this.#provider(serverId, source);
    if ('rdsIam' in source && !usesTls) {
      throw new UsageError(`server ${serverId}: password.rdsIam needs TLS: the token would be sent for all to read`, {
        hint: `set sslmode=verify-full in servers.${serverId}.url, with RDS's certificates as sslrootcert`,
      });
    }
  }

  async get(request: PasswordRequest): Promise<string> {
    const { serverId, source } = request;
    if ('env' in source) return this.#fromEnv(serverId, source.env);
    if ('file' in source) return this.#fromFile(serverId, source.file);
    if ('command' in source) {
      return this.#keep([serverId, source.command], () =>
        readPasswordFromCommand(serverId, source.command, {
          cwd: this.#options.baseDir,
          env: this.#options.env,
          timeoutMs: this.#options.commandTimeoutMs ?? 30_000,
        }),
      );
    }
    const provider = this.#provider(serverId, source);
    // A fresh token for each connection: it is made here, and one that was kept might end before it is used.
    if ('rdsIam' in source) return provider(request);
    return this.#keep([serverId, source], () => provider(request));
  }

  #keep(parts: readonly unknown[], fetch: () => Promise<string>): Promise<string> {
    const key = JSON.stringify(parts);
    const known = this.#kept.get(key);
    if (known !== undefined && this.#now() < known.expiresAt) return known.password;
    // Running: nobody starts a second one. When it has ended, its time begins.
    const entry: Kept = { password: fetch(), expiresAt: Number.POSITIVE_INFINITY };
    this.#kept.set(key, entry);
    entry.password.then(
      () => {
        entry.expiresAt = this.#now() + keptMs;
      },
      () => {
        entry.expiresAt = this.#now() + failureKeptMs;
      },
    );
    return entry.password;
  }

  #fromEnv(serverId: string, name: string): string {
    const value = this.#options.env[name];
    if (value !== undefined && value !== '') return value;
    throw new UsageError(`server ${serverId}: the environment variable ${name} with its password is not set`, {
      hint: `set ${name}, or change servers.${serverId}.password in the inventory`,
    });
  }

  /** Read each time: a rotated file counts from the next connection on. */
  #fromFile(serverId: string, file: string): string {
    const path = resolve(this.#options.baseDir, file);
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      throw new UsageError(`server ${serverId}: the password file "${path}" cannot be read: ${code}`, { cause: error });
    }
    const password = firstLine(text);
    if (password !== '') return password;
    throw new UsageError(`server ${serverId}: the password file "${path}" has an empty first line`);
  }

  #provider(serverId: string, source: { awsSecret: string } | { rdsIam: true }): PasswordProvider {
    const name = 'awsSecret' in source ? 'awsSecret' : 'rdsIam';
    const provider = this.#options.providers?.[name];
    if (provider !== undefined) return provider;
    throw new UsageError(`server ${serverId}: password.${name} is not known here`, {
      hint: 'use password: { env: … }, { file: … } or { command: […] }',
    });
  }
}

/** What a connection says when the server asks for a password and nobody knows one. */
export function missingPassword(serverId: string, user: string): TenantError {
  return new TenantError({
    message: `server ${serverId} asks for the password of user ${user}, and none is known`,
    code: 'password-missing',
    hint: `set servers.${serverId}.password in the inventory, PGPASSWORD, or a line in ~/.pgpass`,
  });
}

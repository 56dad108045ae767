import type { Session } from './session.ts';
import type { ConnectionSettings } from './settings/connection-settings.ts';
import { toNativeEnv } from './settings/native-env.ts';

export interface ProgramEnvOptions {
  /** The caller's environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly applicationName: string;
  /** Settings of its sessions, such as `{ jit: 'off' }`; over those of the inventory's url. */
  readonly settings?: Readonly<Record<string, string>>;
}

/**
 * The environment in which pg_dump, pg_restore and psql reach the very host that a session is connected to, in the
 * database of the settings. Run them with `--no-password`.
 */
export async function programEnv(
  settings: ConnectionSettings,
  session: Session,
  options: ProgramEnvOptions,
): Promise<Readonly<Record<string, string>>> {
  const host = session.host ?? settings.hosts[0]!;
  const password = await settings.password(host.host, host.port);
  const { env, applicationName } = options;
  const native = toNativeEnv(settings, host, { env, applicationName, password });
  const extra = Object.entries(options.settings ?? {}).map(([name, value]) => `-c ${name}=${escapeOption(value)}`);
  if (extra.length === 0) return native;
  return { ...native, PGOPTIONS: [native.PGOPTIONS ?? '', ...extra].join(' ').trim() };
}

/** PGOPTIONS is cut at spaces; a backslash keeps what follows it. */
function escapeOption(value: string): string {
  return value.replace(/[\\\s]/g, (character) => `\\${character}`);
}

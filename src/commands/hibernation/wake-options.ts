import { type RepositoryOptions, readRepositoryOptions } from '../backups/open-repository.ts';
import { type ChangeSettings, readChangeSettings } from '../change-settings.ts';
import type { Flag, RawOptions } from '../command.ts';
import { type FleetOptions, readFleetOptions } from '../fleet-options.ts';
import { readSwitch } from '../read-options.ts';
import { readServerOptions, type ServerOptions } from './server-options.ts';

export interface WakeOptions extends FleetOptions, ChangeSettings, ServerOptions {
  readonly repository: RepositoryOptions;
  /** Run the migrations that came while it slept. */
  readonly migrates: boolean;
  /** Wake those too whose rows are not what their receipts say. */
  readonly acceptsDifferences: boolean;
  readonly yes: boolean;
  readonly dryRun: boolean;
}

export const wakeFlags: readonly Flag[] = [
  {
    flags: '--no-migrate',
    description: 'leave the migrations that it has missed to the next `tenantctl migrate`',
    fromEnvironment: false,
    group: 'How they wake:',
  },
  {
    flags: '--accept-differences',
    description: 'wake those too whose archives hold other rows than their receipts say',
    fromEnvironment: false,
    group: 'How they wake:',
  },
];

export function readWakeOptions(raw: RawOptions): WakeOptions {
  return {
    ...readFleetOptions(raw),
    ...readChangeSettings(raw),
    ...readServerOptions(raw),
    repository: readRepositoryOptions(raw),
    migrates: raw.migrate !== false,
    acceptsDifferences: readSwitch(raw, 'acceptDifferences'),
    yes: readSwitch(raw, 'yes'),
    dryRun: readSwitch(raw, 'dryRun'),
  };
}

import type { Flag, RawOptions } from '../command.ts';
import { readDuration, readSwitch, readText } from '../read-options.ts';

/** What the flags say about servers at AWS. */
export interface ServerOptions {
  /** A profile of the AWS configuration files; null: the default chain. */
  readonly profile: string | null;
  /** Take a snapshot before it is stopped. */
  readonly snapshot: boolean;
  /** Milliseconds without a connection after which a paused cluster goes down; null: the smallest, five minutes. */
  readonly pauseAfterMs: number | null;
  /** How long AWS may take to stop or start a server. */
  readonly waitMs: number;
  /** Between two looks at AWS. */
  readonly pollMs: number;
}

const defaultWaitMs = 45 * 60_000;
const defaultPollMs = 15_000;

function flag(flags: string, description: string, fromEnvironment = true): Flag {
  return { flags, description, fromEnvironment, group: 'Servers at AWS:' };
}

/** For commands that speak to the RDS API. */
export const profileFlag = flag('--profile <name>', 'profile of the AWS configuration files (default: AWS_PROFILE)');

/** `wake` has these. */
export const serverWaitFlags: readonly Flag[] = [
  profileFlag,
  flag('--wait <duration>', 'AWS may take so long to stop or start a server (default: 45min)'),
  flag('--poll <duration>', 'look at AWS this often while it works (default: 15s)'),
];

/** `hibernate` has these. */
export const serverSleepFlags: readonly Flag[] = [
  ...serverWaitFlags,
  flag('--snapshot', 'take a snapshot of an RDS server before it is stopped', false),
  flag('--pause-after <duration>', 'a paused cluster goes down after so long without a connection (default: 5min)'),
];

export function readServerOptions(raw: RawOptions): ServerOptions {
  return {
    profile: readText(raw, 'profile'),
    snapshot: readSwitch(raw, 'snapshot'),
    pauseAfterMs: readDuration(raw, 'pauseAfter'),
    waitMs: readDuration(raw, 'wait') ?? defaultWaitMs,
    pollMs: readDuration(raw, 'poll') ?? defaultPollMs,
  };
}

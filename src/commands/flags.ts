import type { Flag } from './command.ts';

function flag(group: string, fromEnvironment: boolean) {
  return (flags: string, description: string): Flag => ({ flags, description, fromEnvironment, group });
}

const selecting = flag('Which tenants:', false);
const limiting = flag('How much at once:', true);
const guarding = flag('When something fails:', true);
const rolling = flag('Gradually:', true);
const printing = flag('Output:', true);

export const selectionFlags: readonly Flag[] = [
  selecting('--all', 'every tenant of the inventory'),
  selecting('-t, --tenant <pattern...>', 'ids or globs (acme, eu-*); - reads ids from standard input, one a line'),
  selecting('-l, --label <selector...>', 'tier=gold, tier!=free, region; comma and repeated flag = and'),
  selecting('--server <id...>', 'only tenants on these servers'),
  selecting('--database <name...>', 'only tenants in these databases'),
  selecting('--except <pattern...>', 'taken away last'),
  selecting('--shard <i/n>', 'the i-th of n stable parts (by hash of the id), for CI matrices'),
  selecting('--from-run <run>', 'those tenants of an earlier run'),
  selecting('--outcome <list>', 'with --from-run: failed,skipped,interrupted (all three when not said), done'),
  selecting('--allow-empty', 'selecting no tenant is no mistake'),
];

export const limitFlags: readonly Flag[] = [
  limiting('--concurrency <n>', 'tenants (or batches) in work at once, in the whole fleet'),
  limiting('--per-server <n>', 'connections to one server'),
  limiting('--per-database <n>', 'connections to one database'),
  limiting('--timeout <duration>', 'give up a tenant after this long, like 15min (default: never)'),
];

/** How a change goes through the fleet. Each beats the same key of the inventory's `rollout`. */
export const rolloutFlags: readonly Flag[] = [
  rolling('--waves <list>', 'then in waves: shares of those that have something to run, like 10%,50%,100%'),
  { ...rolling('--soak <duration>', 'wait so long after each wave, before its health check'), fromEnvironment: false },
  rolling('--health-sql <sql>', 'run on every migrated tenant after each wave; a row that comes back stops the run'),
  rolling('--health-command <command>', 'run by the shell after each wave; an exit code other than 0 stops the run'),
];

/** For commands that change tenants. */
export const changeFlags: readonly Flag[] = [
  guarding('--canary <n|p%>', 'these many first; all must succeed before the others start'),
  guarding('--max-failures <n|p%>', 'start no further tenant when this many failed'),
  guarding(
    '--max-same-cause <n>',
    'start no further tenant when this many failed for one cause (default: 3; 0: never)',
  ),
  guarding('--lock-wait <duration>', 'wait this long for a tenant that another run has (default: 30s)'),
  guarding(
    '--tries <n>',
    'attempts at a tenant whose lock was not to be had or whose connection was lost (default: 20)',
  ),
  guarding('--retry-for <duration>', 'no further attempt after this long, nor waiting for a server (default: 5min)'),
  guarding('--lock-timeout <duration>', 'lock_timeout of the tenants’ sessions (default: the inventory’s, 2s)'),
  guarding('--grace <duration>', 'after a SIGTERM, cancel running statements after this long (default: 20s)'),
  { ...guarding('--skip-unreachable', 'go on without servers that cannot be reached'), fromEnvironment: false },
];

export const consentFlags: readonly Flag[] = [
  { flags: '-y, --yes', description: 'do it without asking', fromEnvironment: false, group: 'Consent:' },
];

export const dryRunFlag: Flag = {
  flags: '--dry-run',
  description: 'show what would be done, write nothing anywhere',
  fromEnvironment: false,
};

/** Every command has these. */
export const commonFlags: readonly Flag[] = [
  printing('-c, --config <file>', 'the inventory (default: tenants.yaml, found upward from here)'),
  printing(
    '-o, --output <format[=file]>',
    'table, json, ndjson, junit, github, prometheus (backups report); repeatable; one without a file goes to stdout',
  ),
  printing('--json', 'short for -o json'),
  printing('-q, --quiet', 'print failures only'),
  printing('-v, --verbose', 'a line for each tenant'),
  printing('--color <when>', 'auto, always or never'),
  printing('--debug', 'stack traces of errors'),
];

/** Flags that may be given more than once without being lists of words. */
export const repeatable = new Set(['output']);

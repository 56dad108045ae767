import type { Context } from '../../context.ts';
import { checkNode, checkPrograms } from '../../diagnosis/check-machine.ts';
import { checkStateFolder } from '../../diagnosis/check-state-folder.ts';
import { count, type Finding, findingsAbout, isTrouble, type Level } from '../../diagnosis/finding.ts';
import { UsageError } from '../../errors.ts';
import { findInventory } from '../../fleet/inventory/find.ts';
import { loadInventory } from '../../fleet/inventory/load.ts';
import type { Inventory } from '../../fleet/inventory/types.ts';
import { readFolder } from '../../migrations/folder.ts';
import type { Result } from '../../output/result.ts';
import { chosenFolder } from '../../postgres/local/require-client-tools.ts';
import { candidateFolders } from '../../postgres/local/server-programs.ts';
import { type Command, textView } from '../command.ts';
import { readSwitch, readText } from '../read-options.ts';
import { checkStores } from './check-stores.ts';
import { examineServers } from './doctor-servers.ts';

interface DoctorOptions {
  readonly config: string | null;
  readonly quiet: boolean;
}

/** `tenantctl doctor`: looks at this machine, the inventory and every server, and changes nothing. */
export const doctor: Command<DoctorOptions, never> = {
  name: 'doctor',
  summary: 'look at this machine, the inventory and its servers, and say what to fix',
  examples: [
    ['tenantctl doctor', 'everything; also before there is an inventory'],
    ['tenantctl doctor -q', 'only what needs a fix: for cron'],
    ['tenantctl doctor --json | jq ".checks[] | select(.level == \\"error\\")"', 'for scripts'],
  ],
  flags: [],
  view: textView,
  options: (raw) => ({ config: readText(raw, 'config'), quiet: readSwitch(raw, 'quiet') }),
  run: runDoctor,
};

async function runDoctor(context: Context, options: DoctorOptions): Promise<Result<never>> {
  const chosen = chosenFolder(context.env);
  const folders = chosen === null ? await candidateFolders(context) : [chosen];
  const { inventory, findings } = await checkInventory(context, options.config);
  const checks = [
    ...(await checkMachine(context, folders)),
    ...findings,
    ...(inventory === null ? [] : await checkFolders(context, inventory)),
    ...(inventory === null ? [] : await checkStores(inventory)),
    ...(inventory === null ? [] : await examineServers(context, { ...options, inventory, folders })),
  ];
  return {
    outcomes: [],
    text: report(options.quiet ? checks.filter(isTrouble) : checks),
    findings: checks.filter(isTrouble).map(({ id, subject, message, fix }) => ({
      message: `${subject}: ${message}`,
      code: id,
      ...(fix === null ? {} : { hint: fix }),
    })),
    extra: { checks },
    ...(inventory === null ? {} : { environment: inventory.environment }),
  };
}

async function checkMachine({ self, env, now }: Context, folders: readonly string[]): Promise<readonly Finding[]> {
  const node = self[0] === undefined ? [] : [await checkNode(self[0], env, now())];
  return [...node, ...(await checkPrograms(env, folders))];
}

/** Every mistake of the file is a finding of its own. No file at all is none, unless one was named. */
async function checkInventory(
  { cwd, env }: Context,
  config: string | null,
): Promise<{ readonly inventory: Inventory | null; readonly findings: readonly Finding[] }> {
  const about = findingsAbout('inventory');
  try {
    const found = await findInventory({ cwd, env, config: config ?? undefined });
    const { inventory, warnings } = await loadInventory(found);
    const servers = count(inventory.servers.size, 'server');
    return {
      inventory,
      findings: [
        about.ok('inventory', `${found.name}: ${servers}, environment ${inventory.environment}`),
        ...warnings.map(({ message, hint }) => about.warning('inventory-password', message, hint)),
      ],
    };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const { message, details, hint = 'correct the inventory' } = error;
    if (config === null && details.length === 0 && error.cause === undefined) {
      return { inventory: null, findings: [about.info('inventory-missing', message, hint)] };
    }
    const lines = details.length === 0 ? [message] : details;
    return { inventory: null, findings: lines.map((line) => about.error('inventory', line, hint)) };
  }
}

async function checkFolders(context: Context, inventory: Inventory): Promise<readonly Finding[]> {
  const about = findingsAbout('inventory');
  const shared = new Set(inventory.shared.map(({ migrations }) => migrations));
  const folders = [...(inventory.migrations === null ? [] : [inventory.migrations]), ...shared];
  return [
    ...(inventory.migrations === null
      ? [about.info('migrations', 'no migrations folder is named', 'set `migrations` in the inventory')]
      : []),
    ...folders.map((folder) => checkMigrations(folder, context.cwd)),
    ...(await checkStateFolder(inventory.state, context.env)),
  ];
}

function checkMigrations(folder: string, cwd: string): Finding {
  const about = findingsAbout('inventory');
  try {
    const { migrations } = readFolder(folder, cwd);
    return about.ok('migrations', `${count(migrations.length, 'migration')} in ${folder}`);
  } catch (error) {
    if (error instanceof UsageError) return about.error('migrations', error.message, error.hint ?? 'correct the file');
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    return about.error('migrations', `${folder} cannot be read: ${error.message}`, 'make its files readable');
  }
}

const marks: Readonly<Record<Level, string>> = { ok: '✓', info: 'i', warning: '!', error: '✗' };

function report(checks: readonly Finding[]): readonly string[] {
  const groups = Map.groupBy(checks, ({ subject }) => subject);
  const lines = [...groups].flatMap(([subject, findings]) => [subject, ...findings.flatMap(findingLines), '']);
  const number = (level: Level) => checks.filter((check) => check.level === level).length;
  const found = [
    ...(number('error') > 0 ? [count(number('error'), 'error')] : []),
    ...(number('warning') > 0 ? [count(number('warning'), 'warning')] : []),
  ];
  return [...lines, found.length === 0 ? 'all is well' : found.join(', ')];
}

function findingLines({ level, message, fix }: Finding): readonly string[] {
  return [`  ${marks[level]} ${message}`, ...(fix === null ? [] : [`      fix: ${fix}`])];
}

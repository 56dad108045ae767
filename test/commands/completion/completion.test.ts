import { execFile, spawn, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { outputFormats } from '../../../src/commands/completion/completion-values.ts';
import { registry } from '../../../src/commands/registry.ts';
import { shells } from '../../../src/completion/scripts.ts';
import { parseFormats } from '../../../src/output/formats.ts';
import { packageRoot } from '../../../src/postgres/local/cache-folder.ts';
import { writeProgram } from '../../support/fake-programs.ts';
import { createFleet, type TestFleet } from '../../support/fleet.ts';
import { openFolder } from '../../support/folders.ts';
import { threeTables } from '../../support/migrations.ts';
import { runCli } from '../../support/run-cli.ts';

const run = promisify(execFile);

/** An inventory whose servers nobody may ask, and migrations. */
async function fleetOnPaper(): Promise<{ readonly folder: string; readonly connections: () => number }> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const url = `postgres://x@127.0.0.1:${(server.address() as { port: number }).port}/postgres`;
  const fleet = await createFleet({
    migrations: threeTables,
    inventory: {
      servers: { main: { url }, 'eu-1': { url } },
      tenants: [
        { id: 'acme', server: 'main', database: 'acme', labels: { tier: 'gold', region: 'eu' } },
        { id: 'acme east', server: 'main', database: 'saas', schema: 'a_e', labels: { tier: 'free' } },
        { id: "x$(touch 'pwned')`touch pwned`", server: 'eu-1', database: 'saas', schema: 'x' },
      ],
      discover: [{ server: 'main', database: 'other', schemas: 'o_*', labels: { tier: 'late' } }],
    },
  });
  return { folder: fleet.folder, connections: () => connections };
}

/** The values that are proposed for the last word, and how the answer ends. */
async function complete(cwd: string, ...words: readonly string[]): Promise<readonly string[]> {
  const { exitCode, stdout, stderr } = await runCli(['complete', '--', ...words], { cwd });
  expect([exitCode, stderr]).toEqual([0, '']);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t')[0] ?? '');
}

describe('what is proposed', () => {
  test('commands, groups, subcommands and flags, with what they are for', async () => {
    const { folder } = await fleetOnPaper();
    const words = new Set(registry.map(({ name }) => name.split(' ')[0]));
    expect(await complete(folder, '')).toEqual([...words, ':4']);
    expect(await complete(folder, 'comp')).toEqual(['completion', ':4']);
    expect(await complete(folder, 'tenants', '')).toEqual(['list', ':4']);
    const { stdout } = await runCli(['complete', '--', 'migrate', 'ga'], { cwd: folder });
    expect(stdout).toBe('gate\task whether tenants are far enough for a deployment: exit 0 or 1\n:4\n');
    expect(await complete(folder, 'migrate', 'gate', '--at')).toEqual(['--at-least', ':4']);
    expect(await complete(folder, 'migrate', '--ver')).toEqual(['--verbose', ':4']);
    expect(await complete(folder, 'migrate', '--verbose', '--ver')).toEqual([':4']);
    expect(await complete(folder, '--v')).toEqual(['--version', ':4']);
    expect(await complete(folder, 'nonsense', '')).toEqual([':4']);
  });

  test.each([
    ['migrate|-t|', ['acme', 'acme east', "x$(touch 'pwned')`touch pwned`"]],
    ['migrate|-t|acme|', ['acme east', "x$(touch 'pwned')`touch pwned`"]],
    ['migrate|--except|acme', ['acme', 'acme east']],
    ['migrate|status|--server|', ['main', 'eu-1']],
    ['migrate|status|--database|', ['acme', 'saas', 'other']],
    ['migrate|status|-l|', ['tier=', 'region=']],
    ['migrate|status|-l|tier=', ['tier=gold', 'tier=free', 'tier=late']],
    ['migrate|status|-l|tier!=g', ['tier!=gold']],
    ['migrate|status|-l|tier=gold,r', ['tier=gold,region=']],
    ['migrate|status|--outcome|failed,', ['failed,skipped', 'failed,interrupted', 'failed,done']],
    ['migrate|--to|0002', ['0002_two']],
    ['migrate|gate|--at-least=', ['--at-least=0001_one', '--at-least=0002_two', '--at-least=0003_three']],
    ['backups|show|acme', ['acme', 'acme east']],
    ['backups|pin|acme|--at|', ['latest']],
    ['backups|list|--kind|sh', ['shared']],
    ['migrate|baseline|--at|', ['0001_one', '0002_two', '0003_three']],
    ['migrate|--output|', [...outputFormats]],
    ['migrate|-o|json|-o|ta', ['table']],
    ['migrate|--color|al', ['always']],
    ['completion|', [...shells]],
    ['migrate|plan|--allow|drop-table,drop-c', ['drop-table,drop-column']],
  ])('%s', async (line, expected) => {
    const { folder, connections } = await fleetOnPaper();
    expect(await complete(folder, ...line.split('|'))).toEqual([...expected, ':4']);
    expect(connections()).toBe(0);
  });

  test.each(['migrate|-c|', 'migrate|--config=', 'migrate|-o|json=', 'migrate|create|--folder|'])(
    'the shell’s own files: %s',
    async (line) => {
      const { folder } = await fleetOnPaper();
      expect(await complete(folder, ...line.split('|'))).toEqual([':0']);
    },
  );

  test('each format of the list exists, and none is missing', () => {
    for (const format of outputFormats) expect(parseFormats([format])).toHaveLength(1);
    expect(() => parseFormats(['nonsense'])).toThrow(
      expect.objectContaining({ hint: expect.stringContaining(outputFormats.join(', ')) }),
    );
  });

  test('tenants that discovery has found come from the records of runs, and so do the runs', async () => {
    const fleet: TestFleet = await createFleet({ schemas: 3, migrations: threeTables });
    expect(await complete(fleet.folder, 'migrate', '-t', '')).toEqual([':4']);
    const { run: id } = await fleet.json('migrate -t t01 t02');
    expect(await complete(fleet.folder, 'migrate', '-t', '')).toEqual(['t01', 't02', ':4']);
    const tail = id!.split('-').at(-1)!;
    expect(await complete(fleet.folder, 'migrate', '--from-run', '20')).toEqual([id, ':4']);
    expect(await complete(fleet.folder, 'migrate', '--from-run', tail)).toEqual([tail, ':4']);
    expect(await complete(fleet.folder, 'runs', 'show', '')).toEqual([id, tail, ':4']);
    expect(await complete(fleet.folder, 'migrate', 'down', '--run', '20')).toEqual([id, ':4']);
  });
});

describe('the inventory', () => {
  test('is the one that the line names, also below the home folder', async () => {
    const { folder } = await fleetOnPaper();
    const elsewhere = await openFolder();
    expect(await complete(elsewhere, 'migrate', '-c', join(folder, 'tenants.yaml'), '-t', 'acme')).toHaveLength(3);
    expect(
      await complete(elsewhere, 'migrate', '-t', 'acme', `--config=${folder}/tenants.yaml`, '--server', ''),
    ).toEqual(['main', 'eu-1', ':4']);
    const argv = ['complete', '--', 'migrate', '-c', '~/tenants.yaml', '--server', 'eu'];
    expect((await runCli(argv, { cwd: elsewhere, homeDir: folder })).stdout).toBe('eu-1\n:4\n');
  });

  test('that is wrong or missing is met with silence', async () => {
    const { folder } = await fleetOnPaper();
    await writeFile(join(folder, 'tenants.yaml'), 'version: 1\nnonsense: [');
    expect(await complete(folder, 'migrate', '-t', '')).toEqual([':4']);
    expect(await complete(folder, 'migrate', '--qui')).toEqual(['--quiet', ':4']);
    expect(await complete(await openFolder(), 'migrate', '-t', '')).toEqual([':4']);
  });
});

test('the program answers a shell in a process of its own', async () => {
  const { folder } = await fleetOnPaper();
  const program = join(packageRoot, 'bin', 'tenantctl.js');
  const { stdout, stderr } = await run(process.execPath, [program, 'complete', '--', 'migrate', '-t', 'acme '], {
    cwd: folder,
  });
  expect([stdout, stderr]).toEqual(['acme east\tmain/saas\n:4\n', '']);
});

test.each(shells)('the script for %s is printed alone, and the same however often', async (shell) => {
  const { exitCode, stdout, stderr } = await runCli(['completion', shell]);
  expect([exitCode, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^#.*\n[\s\S]*tenantctl complete -- [\s\S]*\n$/);
  // Names of tenants and what was typed must never be run.
  expect(stdout).not.toMatch(/\beval\b|compgen/);
});

test.each(['', 'tcsh', 'BASH'])('there is none for %j', async (shell) => {
  const { exitCode, stderr } = await runCli(['completion', ...(shell === '' ? [] : [shell])]);
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining(shell === '' ? 'shell' : 'bash, zsh, fish')]);
});

/** A folder with a program `tenantctl` for the shell's PATH. */
async function programFolder(): Promise<string> {
  const folder = await openFolder();
  const program = join(packageRoot, 'bin', 'tenantctl.js');
  await writeProgram(folder, 'tenantctl', `exec '${process.execPath}' '${program}' "$@"`);
  return folder;
}

async function inShell(shell: string, args: readonly string[], script: string, cwd: string): Promise<string> {
  const env = { PATH: `${await programFolder()}:${process.env.PATH}`, HOME: cwd, LC_ALL: 'C.UTF-8' };
  const child = spawn(shell, [...args, script], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  await new Promise((resolve) => child.on('close', resolve));
  return output;
}

function has(shell: string): boolean {
  return spawnSync(shell, ['-c', 'exit 0']).status === 0;
}

describe.skipIf(!has('bash'))('bash', () => {
  /** What readline would be given for the line, with the cursor at its end; each reply in brackets. */
  const drive = async (cwd: string, lines: readonly string[]) => {
    const asks = lines.map((line) => `ask '${line.replaceAll("'", `'\\''`)}'`);
    const script = `source <(tenantctl completion bash); source <(tenantctl completion bash)
      ask() { COMP_LINE=$1 COMP_POINT=\${#1}; _tenantctl; printf '[%s]' "\${COMPREPLY[@]}"; echo; }
      ${asks.join('\n')}
      complete -p tenantctl`;
    return (await inShell('bash', ['--norc', '--noprofile', '-c'], script, cwd)).trimEnd().split('\n');
  };

  test('replaces what readline would replace, quoted, and runs nothing of what is typed or found', async () => {
    const { folder } = await fleetOnPaper();
    const lines = await drive(folder, [
      'tenantctl migrate stat',
      'tenantctl migrate --output=js',
      'tenantctl migrate status -l tier=gold,reg',
      'tenantctl migrate -t acme\\ ',
      'tenantctl migrate -t "acme',
      'tenantctl migrate -t x',
      'tenantctl migrate -t $(touch pwned) --serv',
      'tenantctl migrate -c tena',
    ]);
    expect(lines).toEqual([
      '[status]',
      '[json]',
      '[gold,region=]',
      '[acme\\ east]',
      '[acme][acme\\ east]',
      "[x\\$\\(touch\\ \\'pwned\\'\\)\\`touch\\ pwned\\`]",
      '[--server]',
      '[]',
      'complete -F _tenantctl tenantctl',
    ]);
    await expect(run('ls', ['pwned'], { cwd: folder })).rejects.toThrow();
  });
});

describe.skipIf(!has('fish'))('fish', () => {
  test('proposes with descriptions, and files where files are meant', async () => {
    const { folder } = await fleetOnPaper();
    const script = `tenantctl completion fish | source
      for line in 'tenantctl migrate stat' 'tenantctl migrate -t acme\\\\ e' 'tenantctl migrate --config=tena'
        complete -C $line
      end`;
    expect(await inShell('fish', ['--no-config', '-c'], script, folder)).toBe(
      'status\tshow how many tenants stand at which migration\nacme east\tmain/saas\n--config=tenants.yaml\n',
    );
  });
});

describe.skipIf(!has('zsh'))('zsh', () => {
  test('understands the script, and gives its words and their descriptions to the completion system', async () => {
    const { folder } = await fleetOnPaper();
    const script = `compdef() { echo "compdef $*" }
      compadd() { while (( $# )); do [[ $1 == -a ]] && { print -l -- "\${(@P)2}" }; [[ $1 == -d ]] && print -l -- "\${(@P)2}"; shift; done }
      source <(tenantctl completion zsh)
      words=(tenantctl migrate -t 'acme\\ e') CURRENT=4 PREFIX='acme\\ e'; _tenantctl
      words=(tenantctl migrate -l ti) CURRENT=4 PREFIX=ti; _tenantctl`;
    expect(await inShell('zsh', ['-f', '-c'], script, folder)).toBe(
      'compdef _tenantctl tenantctl\nacme east  -- main/saas\nacme east\ntier=\ntier=\n',
    );
  });
});

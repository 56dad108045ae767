import { describe, expect, it } from 'vitest';
import { readDependencies, readSource, readSources, type SourceFile } from './source-files.ts';

/** Folders of src that each are one thing an operator does; none knows another. */
const capabilities = ['backups', 'completion', 'demo', 'diagnosis', 'drift', 'hibernation', 'migrations'];

/** The rooms that a room may import from: what runs, and what only the type checker reads. Its own always. */
const arrows: Readonly<Record<string, { readonly values: readonly string[]; readonly types?: readonly string[] }>> = {
  bin: { values: ['main'] },
  main: { values: ['commands', 'output', 'errors'], types: ['fleet', 'context'] },
  commands: { values: [...capabilities, 'postgres', 'aws', 'fleet', 'errors', 'words'], types: ['output', 'context'] },
  ...Object.fromEntries(
    capabilities.map((name) => [name, { values: ['postgres', 'aws', 'errors', 'words'], types: ['fleet'] }]),
  ),
  output: { values: ['errors', 'words'], types: ['fleet', 'context'] },
  fleet: { values: ['errors'], types: ['context'] },
  postgres: { values: ['errors'] },
  aws: { values: ['errors'], types: ['backups', 'fleet'] },
  context: { values: [], types: ['fleet'] },
  errors: { values: [] },
  words: { values: [] },
};

/** Files that another room may run all the same: small, pure, and without imports of their own that would follow. */
const exceptions: readonly { readonly room: string; readonly file: string; readonly because: string }[] = [
  { room: 'main', file: 'src/fleet/did-you-mean.ts', because: 'a mistyped command is answered as a mistyped key is' },
  { room: 'output', file: 'src/fleet/outcome.ts', because: 'outcomes are counted in one way only' },
  {
    room: 'output',
    file: 'src/fleet/cause.ts',
    because: 'the report groups failures as the same-cause brake counts them',
  },
  {
    room: 'migrations',
    file: 'src/fleet/tenant.ts',
    because: 'where the objects of a tenant live is known in one place',
  },
  {
    room: 'backups',
    file: 'src/fleet/tenant.ts',
    because: 'where the objects of a tenant live is known in one place',
  },
  { room: 'drift', file: 'src/fleet/glob.ts', because: 'a pattern is matched in one way only' },
  { room: 'hibernation', file: 'src/fleet/glob.ts', because: 'a pattern is matched in one way only' },
  {
    room: 'drift',
    file: 'src/fleet/tenant.ts',
    because: 'where the objects of a tenant live is known in one place',
  },
  { room: 'backups', file: 'src/fleet/duration.ts', because: 'a duration is written in one way only' },
  { room: 'hibernation', file: 'src/fleet/duration.ts', because: 'a duration is written in one way only' },
];

/** Where each third-party package lives: only that room knows its interface. */
const homes: Readonly<Record<string, string>> = {
  pg: 'postgres',
  'cli-table3': 'output',
  listr2: 'output',
  'p-limit': 'fleet',
  yaml: 'fleet',
  zod: 'fleet',
  '@aws-sdk/client-rds': 'aws',
  '@aws-sdk/client-s3': 'aws',
  '@aws-sdk/client-secrets-manager': 'aws',
  '@aws-sdk/lib-storage': 'aws',
  '@aws-sdk/rds-signer': 'aws',
  'age-encryption': 'backups',
  commander: 'main',
  'libpg-query': 'migrations',
  'node-pg-migrate': 'migrations',
};

const mainFiles = ['src/main.ts', 'src/program.ts', 'src/run-command.ts', 'src/interrupts.ts'];
const sources = readSources();
const knownPaths = new Set(sources.map(({ path }) => path));

function roomOf(path: string): string {
  const [top = '', second = ''] = path.split('/');
  if (top === 'bin' || mainFiles.includes(path)) return top === 'bin' ? 'bin' : 'main';
  return second.replace(/\.ts$/, '');
}

/** What is wrong with a file's imports, a line each. */
function wrongArrows(file: SourceFile): string[] {
  const room = roomOf(file.path);
  const arrow = arrows[room];
  if (arrow === undefined) return [`${file.path}: nobody said what the room ${room} may import`];
  return file.imports.flatMap(({ target, isType }) => {
    if (!target.startsWith('src/')) return [];
    const other = roomOf(target);
    const isAllowed =
      other === room ||
      arrow.values.includes(other) ||
      (isType && arrow.types?.includes(other)) ||
      exceptions.some((exception) => exception.room === room && exception.file === target);
    return isAllowed ? [] : [`${file.path} imports ${target}${isType ? ' (types)' : ''}`];
  });
}

/** A way along imports that comes back to where it began, or null. */
function findCycle(files: readonly SourceFile[]): readonly string[] | null {
  const targets = new Map(
    files.map(({ path, imports }) => [path, imports.filter(({ isType }) => !isType).map(({ target }) => target)]),
  );
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): readonly string[] | null => {
    if (way.includes(path)) return [...way.slice(way.indexOf(path)), path];
    if (done.has(path)) return null;
    for (const target of targets.get(path) ?? []) {
      const cycle = visit(target, [...way, path]);
      if (cycle !== null) return cycle;
    }
    done.add(path);
    return null;
  };
  for (const { path } of files) {
    const cycle = visit(path, []);
    if (cycle !== null) return cycle;
  }
  return null;
}

describe('imports', () => {
  it('go only along the arrows', () => {
    expect(sources.flatMap(wrongArrows)).toEqual([]);
  });

  it('need each of the exceptions', () => {
    const unused = exceptions.filter(
      ({ room, file }) =>
        !sources.some(({ path, imports }) => {
          return roomOf(path) === room && imports.some(({ target, isType }) => target === file && !isType);
        }),
    );
    expect(unused.map(({ room, file }) => `${room} -> ${file}`)).toEqual([]);
  });

  it('make no circle', () => {
    expect(findCycle(sources)).toBeNull();
  });

  it('name files that are there, with their ending', () => {
    const missing = sources.flatMap(({ path, imports }) =>
      imports
        .filter(
          ({ specifier, target }) => specifier.startsWith('.') && !knownPaths.has(target) && path.startsWith('src/'),
        )
        .map(({ specifier }) => `${path}: ${specifier}`),
    );
    expect(missing).toEqual([]);
  });

  it('bring third-party packages home, each to its one room', () => {
    const strays = sources.flatMap(({ path, imports }) =>
      imports
        .filter(({ specifier, target }) => !specifier.startsWith('.') && !target.startsWith('node:'))
        .filter(({ target }) => homes[target] !== roomOf(path))
        .map(({ target }) => `${path}: ${target} belongs to ${homes[target] ?? 'no room'}`),
    );
    expect(strays).toEqual([]);
    expect(readDependencies().toSorted()).toEqual(Object.keys(homes).toSorted());
  });
});

describe('the world', () => {
  it('is touched by src/main.ts alone', () => {
    const touching = sources
      .filter(({ path }) => path.startsWith('src/') && path !== 'src/main.ts')
      .filter(({ code, imports }) => {
        const names = /(?<![\w.'"-])(?:process|console)(?:\.|\?\.|\[)['"a-z]/;
        return names.test(code) || imports.some(({ target }) => /^node:(?:process|console)$/.test(target));
      });
    expect(touching.map(({ path }) => path)).toEqual([]);
  });
});

describe('files', () => {
  it('have at most 300 lines', () => {
    expect(sources.filter(({ lines }) => lines > 300).map(({ path, lines }) => `${path}: ${lines}`)).toEqual([]);
  });

  it('are named for the one thing they give', () => {
    const vague = /(?:^|[-/])(?:utils?|helpers?|common|managers?|services?|misc|index)(?:[-./]|$)/;
    // A libpq service file is what it says.
    const odd = sources.filter(({ path }) => vague.test(path) && path !== 'src/postgres/settings/service-file.ts');
    expect(odd.map(({ path }) => path)).toEqual([]);
    expect(sources.filter(({ path }) => !/^[a-z0-9/-]+(?:\.sql)?\.[jt]s$/.test(path)).map(({ path }) => path)).toEqual(
      [],
    );
  });

  it('pass nothing on that belongs to another file', () => {
    const barrels = sources.filter(({ code }) => /^export\s+(?:type\s+)?(?:\*|\{[^}]*\})[^;]*\bfrom\b/m.test(code));
    expect(barrels.map(({ path }) => path)).toEqual([]);
  });
});

describe('this test', () => {
  const read = (path: string, text: string) => readSource(path, text);

  it('sees every kind of import', () => {
    const { imports } = read(
      'src/fleet/x.ts',
      `import a from './a.ts';
import type { B } from './b.ts';
import {
  type C,
} from './inventory/c.ts';
import './d.ts';
export { e } from '../e.ts';
// import f from './f.ts';
/* import g from './g.ts'; */
const h = await import('node-pg-migrate/utils');
let i: typeof import('./i.ts');
let j: import('./j.ts').J;
import { k } from '@aws-sdk/client-rds/x';
const text = 'import l from "./l.ts"';
`,
    );
    expect(imports.map(({ target, isType }) => `${target}${isType ? ' type' : ''}`)).toEqual([
      'src/fleet/a.ts',
      'src/fleet/b.ts type',
      'src/fleet/inventory/c.ts',
      'src/fleet/d.ts',
      'src/e.ts',
      '@aws-sdk/client-rds',
      'node-pg-migrate',
      'src/fleet/i.ts type',
      'src/fleet/j.ts type',
    ]);
  });

  it.each([
    ['src/postgres/x.ts', "import { runFleet } from '../fleet/run.ts';"],
    ['src/postgres/x.ts', "import type { Tenant } from '../fleet/tenant.ts';"],
    ['src/migrations/x.ts', "import { runFleet } from '../fleet/run.ts';"],
    ['src/output/x.ts', "import { Session } from '../postgres/session.ts';"],
    ['src/commands/x.ts', "import { openOutputs } from '../output/outputs.ts';"],
    ['src/fleet/x.ts', "const x = await import('../postgres/session.ts');"],
    ['src/newroom/x.ts', ''],
  ])('finds a wrong arrow in %s: %s', (path, text) => {
    expect(wrongArrows(read(path, text))).toHaveLength(1);
  });

  it('finds a circle, and none of types alone', () => {
    const a = (kind: string) => read('src/fleet/a.ts', `${kind} { b } from './b.ts';`);
    const b = read('src/fleet/b.ts', "import { a } from './a.ts';");
    expect(findCycle([a('import'), b])).toEqual(['src/fleet/a.ts', 'src/fleet/b.ts', 'src/fleet/a.ts']);
    expect(findCycle([a('import type'), b])).toBeNull();
  });
});

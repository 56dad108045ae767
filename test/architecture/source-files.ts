import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const root = join(import.meta.dirname, '../..');

export interface Import {
  /** A file below the root (`src/errors.ts`), or a package (`pg`, `node:fs`). */
  readonly target: string;
  /** As it is written. */
  readonly specifier: string;
  /** Nothing of it is left when the program runs. `import { type X }` is not of this kind: the module is loaded. */
  readonly isType: boolean;
}

export interface SourceFile {
  /** Below the root: `src/fleet/run.ts`. */
  readonly path: string;
  /** Without comments; line numbers stay. */
  readonly code: string;
  readonly lines: number;
  readonly imports: readonly Import[];
}

/** The program's files: bin and src. */
export function readSources(): readonly SourceFile[] {
  const paths = ['bin', 'src'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.[jt]s$/.test(name))
      .map((name) => normalize(join(folder, name))),
  );
  return paths.toSorted().map((path) => readSource(path, readFileSync(join(root, path), 'utf8')));
}

/** Names of what package.json says the published program needs. */
export function readDependencies(): readonly string[] {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return Object.keys(dependencies);
}

export function readSource(path: string, text: string): SourceFile {
  const code = text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ''))
    .replace(/(^|\s)\/\/.*$/gm, '$1');
  return { path, code, lines: text.trimEnd().split('\n').length, imports: findImports(path, code) };
}

function findImports(path: string, code: string): Import[] {
  const found: Import[] = [];
  const add = (specifier: string, isType: boolean) => {
    const target = specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : packageOf(specifier);
    found.push({ target, specifier, isType });
  };
  // import x from '…', import { … } from '…', import '…', export { … } from '…'
  for (const [, type, specifier] of code.matchAll(
    /^(?:import|export)\b(\s+type\b)?(?:[^;'"]*?\bfrom)?\s*['"]([^'"\n]+)['"]/gm,
  )) {
    add(specifier as string, type !== undefined);
  }
  // await import('…'); in the place of a type it is `typeof import('…')` or `import('…').Name`
  for (const [, type, specifier, member] of code.matchAll(
    /(\btypeof\s+)?\bimport\(\s*['"]([^'"]+)['"]\s*\)(\.[A-Z])?/g,
  )) {
    add(specifier as string, type !== undefined || member !== undefined);
  }
  return found;
}

/** `node-pg-migrate/utils` -> `node-pg-migrate`, `@aws-sdk/client-rds` stays. */
function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

import { printable } from './names.ts';

export type Path = readonly (string | number)[];

/** Something wrong in the file, by where in its tree it is. */
export interface Mistake {
  readonly path: Path;
  /** Point at the key when the key itself is wrong, else at its value. */
  readonly on: 'key' | 'value';
  readonly message: string;
}

/** 1-based. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A mistake where a person will look for it. */
export interface LocatedMistake {
  readonly position: Position;
  /** Empty for a mistake of the text itself. */
  readonly path: Path;
  readonly message: string;
}

/** Finds lines and columns of the parsed text. */
export type Locate = (path: Path, on: Mistake['on']) => Position;

export function onValue(path: Path, message: string): Mistake {
  return { path, on: 'value', message };
}

export function onKey(path: Path, message: string): Mistake {
  return { path, on: 'key', message };
}

/** `servers.main.url`, `tenants[3].id`, `labels["a b"]`. */
export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[\p{L}_][\p{L}\p{N}_-]*$/u.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${printable(JSON.stringify(step))}]`;
  }
  return text;
}

/** `tenants.yaml:12:7`. */
export function formatPosition(file: string, position: Position): string {
  return `${file}:${position.line}:${position.column}`;
}

/** `tenants.yaml:12:7 servers.main.url: expected …`, in the order of the file. */
export function formatMistakes(file: string, mistakes: readonly LocatedMistake[]): readonly string[] {
  return mistakes
    .toSorted((a, b) => a.position.line - b.position.line || a.position.column - b.position.column)
    .map((mistake) => {
      const where = mistake.path.length === 0 ? '' : ` ${formatPath(mistake.path)}`;
      return `${formatPosition(file, mistake.position)}${where}: ${mistake.message}`;
    });
}

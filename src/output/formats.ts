import { UsageError } from '../errors.ts';

/** `prometheus` is for commands whose view offers metrics. */
export type Format = 'table' | 'json' | 'ndjson' | 'junit' | 'github' | 'prometheus';

/** Each with a file for hints. */
const exampleFiles: Readonly<Record<Format, string>> = {
  table: 'report.txt',
  json: 'report.json',
  ndjson: 'report.ndjson',
  junit: 'report.xml',
  github: 'annotations.txt',
  prometheus: 'tenantctl.prom',
};
const formats = Object.keys(exampleFiles) as readonly Format[];

/** One `-o` of the command line; `file` null is stdout. */
export interface FormatSpec {
  readonly format: Format;
  /** As the operator wrote it. */
  readonly file: string | null;
}

/**
 * Reads `-o <format>[=<file>]`, given as often as one likes, and `--json`. At most one format goes to stdout;
 * `table` does when none is said to.
 */
export function parseFormats(values: readonly string[], isJson = false): readonly FormatSpec[] {
  const specs = values.map(parseFormat);
  const hasPlainJson = specs.some((spec) => spec.format === 'json' && spec.file === null);
  if (isJson && !hasPlainJson) specs.push({ format: 'json', file: null });
  const onStdout = specs.filter((spec) => spec.file === null);
  if (onStdout.length > 1) {
    const names = onStdout.map((spec) => spec.format).join(' and ');
    throw new UsageError(`only one output format can go to stdout, not ${names}`, {
      hint: `write the others to files: -o ${exampleOf(movable(onStdout))}`,
    });
  }
  return onStdout.length === 0 ? [{ format: 'table', file: null }, ...specs] : specs;
}

function parseFormat(value: string): FormatSpec {
  const separator = value.indexOf('=');
  const name = separator < 0 ? value : value.slice(0, separator);
  const file = separator < 0 ? null : value.slice(separator + 1);
  const format = formats.find((it) => it === name);
  if (format === undefined) {
    throw new UsageError(`output format "${name}" does not exist`, {
      hint: `the formats are ${formats.join(', ')}, each also as <format>=<file>`,
    });
  }
  if (file === '') throw new UsageError(`no file is named in "-o ${value}"`, { hint: `-o ${exampleOf(format)}` });
  return { format, file };
}

/** GitHub reads its commands on stdout; every other format is as good in a file. */
function movable(specs: readonly FormatSpec[]): Format {
  return (specs.findLast(({ format }) => format !== 'github') ?? specs[0]!).format;
}

function exampleOf(format: Format): string {
  return `${format}=${exampleFiles[format]}`;
}

import { isAbsolute, relative, resolve, sep } from 'node:path';
import { listNames, plural } from '../words.ts';
import { type Cause, type CauseOptions, commandCause, listCauses } from './causes.ts';
import type { ReportMeta, Result } from './result.ts';
import { safeText } from './safe-text.ts';
import { summaryText } from './summary-text.ts';
import { logLine, workflowCommand } from './workflow-command.ts';

export interface GithubOptions extends CauseOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly quiet: boolean;
}

/** GitHub shows no more of a step. */
const maxAnnotations = 10;

/** For the log of a step: the lines of the answer, an annotation a cause, one line with totals. */
export function* githubReport(result: Result, meta: ReportMeta, options: GithubOptions): Generator<string> {
  if (options.quiet && meta.exitCode === 0) return;
  if (!options.quiet) for (const line of result.text ?? []) yield logLine(safeText(line));
  const causes = meta.error === undefined ? listCauses(result, options) : [commandCause(meta.error, meta.exitCode)];
  const shown = causes.length <= maxAnnotations ? causes : causes.slice(0, maxAnnotations - 1);
  for (const cause of shown) yield annotation(cause, meta, options);
  if (shown.length < causes.length) yield restAnnotation(causes.slice(shown.length), meta);
  const totals = summaryText(result, meta);
  if (totals !== null) yield logLine(totals);
}

function annotation(cause: Cause, { command }: ReportMeta, options: GithubOptions): string {
  const { level, text, more, tenants, retry, file: place = {} } = cause;
  const { file, line, column: col } = place;
  const names =
    tenants.length === 0 ? [] : [`${plural(tenants.length, 'tenant')}: ${listNames(tenants.map(safeText))}`];
  const lines = [text, ...names, ...more, ...(retry === null ? [] : [`retry: ${safeText(retry)}`])];
  const path = file === undefined ? undefined : safeText(filePath(file, options));
  const properties = { file: path, line, col, title: `tenantctl ${command}: ${cause.title}` };
  return workflowCommand(level, properties, lines.join('\n'));
}

function restAnnotation(causes: readonly Cause[], { command }: ReportMeta): string {
  const level = causes.some((cause) => cause.level === 'error') ? 'error' : 'warning';
  const title = `tenantctl ${command}: ${plural(causes.length, 'more cause')}`;
  return workflowCommand(level, { title }, causes.map(({ title, text }) => `${title}: ${text}`).join('\n'));
}

/** GitHub finds a file from the top of its checkout, wherever the command was started. */
function filePath(file: string, { cwd, env }: GithubOptions): string {
  if (!env.GITHUB_WORKSPACE) return file;
  const path = relative(env.GITHUB_WORKSPACE, resolve(cwd, file));
  const isOutside = path.split(sep)[0] === '..' || isAbsolute(path);
  return isOutside ? file : path;
}

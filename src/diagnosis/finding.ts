export type Level = 'ok' | 'info' | 'warning' | 'error';

/** One thing that doctor looked at. */
export interface Finding {
  /** Stable, for scripts: `connection-headroom`. */
  readonly id: string;
  readonly level: Level;
  /** `local`, `inventory`, `server main`. */
  readonly subject: string;
  readonly message: string;
  /** What to do about it, usually a command or a statement; null when there is nothing to do. */
  readonly fix: string | null;
}

/** Makes findings about one subject. Warnings and errors must say what to do. */
export interface FindingMaker {
  readonly ok: (id: string, message: string) => Finding;
  readonly info: (id: string, message: string, fix?: string) => Finding;
  readonly warning: (id: string, message: string, fix: string) => Finding;
  readonly error: (id: string, message: string, fix: string) => Finding;
}

export function findingsAbout(subject: string): FindingMaker {
  const make =
    (level: Level) =>
    (id: string, message: string, fix?: string): Finding => ({ id, level, subject, message, fix: fix ?? null });
  return { ok: make('ok'), info: make('info'), warning: make('warning'), error: make('error') };
}

/** Whether a finding makes the command end with 1. */
export function isTrouble({ level }: Finding): boolean {
  return level === 'warning' || level === 'error';
}

/** `saas`, `saas and crm`, `saas, crm, eu and 4 more`. */
export function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 3);
  const rest = names.length - shown.length;
  if (rest > 0) return `${shown.join(', ')} and ${rest} more`;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}

/** `1 database`, `12 databases`. */
export function count(number: number, noun: string, nouns = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : nouns}`;
}

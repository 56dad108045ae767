import type { EventListener } from './fleet/events.ts';

export interface OutputStream {
  write(text: string): void;
  readonly isTTY: boolean;
  readonly columns: number;
}

/** Ctrl-C in three steps. Each signal implies the ones before it. */
export interface Interrupts {
  /** Start nothing new; let running statements end. */
  readonly stop: AbortSignal;
  /** Cancel running statements on their servers. */
  readonly cancel: AbortSignal;
  /** Report what is known and go. */
  readonly abandon: AbortSignal;
}

/** One line typed by a person. Rejects when there will be none, and when `stop` comes first. */
export type Prompt = (question: string, stop: AbortSignal) => Promise<string>;

/** What a command may ask of the world. main builds the real one, a test its own. */
export interface Context {
  /** Of tenantctl. */
  readonly version: string;
  /** Program and first arguments that run tenantctl again. */
  readonly self: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Relative paths in flags start here. */
  readonly cwd: string;
  readonly homeDir: string;
  readonly osUser: string;
  /** Only for what a command streams while it runs (`demo`); results go through the report. */
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** All of standard input, for `--tenant -`. */
  readonly readStdin: () => Promise<string>;
  /** Null when there is no terminal to ask on. */
  readonly prompt: Prompt | null;
  readonly now: () => Date;
  readonly interrupts: Interrupts;
  /** Progress, ndjson and the ledger listen here. */
  readonly emit: EventListener;
}

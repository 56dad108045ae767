import type { Context } from '../context.ts';
import type { CommandView, Result } from '../output/result.ts';

/** One flag of a command, in commander's notation: `-t, --tenant <pattern...>`. */
export interface Flag {
  readonly flags: string;
  readonly description: string;
  /** May `TENANTCTL_<FLAG>` stand for it? Never for selection, `--yes`, `--allow*` and `--skip*`. */
  readonly fromEnvironment: boolean;
  /** Shown under this heading in `--help`. */
  readonly group?: string;
}

/** What was typed, before a command made its typed options of it. Keys are the flags' names in camelCase. */
export type RawOptions = Readonly<Record<string, unknown>>;

/** A command is a value: main registers it, renders its result and picks the exit code. */
export interface Command<O = unknown, V = unknown> {
  /** As it is typed: `migrate status`. */
  readonly name: string;
  readonly summary: string;
  /** The beginning of `--help`: what is typed, and what for. */
  readonly examples: readonly (readonly [typed: string, meaning: string])[];
  /** Positional arguments in commander's notation: `<name>`. */
  readonly arguments?: string;
  readonly flags: readonly Flag[];
  readonly view: CommandView<V>;
  /** Flags and arguments to a typed value; throws UsageError. Touches nothing. */
  options(raw: RawOptions, args: readonly string[]): O;
  run(context: Context, options: O): Promise<Result<V>>;
  /**
   * Flags of this invocation that a retry of some tenants must repeat: `--to 0142`; null: flags cannot say the same
   * again, and the run is carried on with `runs resume`.
   */
  retryFlags?(options: O): readonly string[] | null;
  /** Whether the report may name a command that does failed tenants again; a check has none. */
  readonly canRetry?: boolean;
}

/** A view for commands whose whole answer is lines of text. */
export const textView: CommandView<never> = { columns: [], row: () => null };

/** A flag as completing needs it. */
export interface LineFlag {
  /** `-t` */
  readonly short: string | null;
  /** `--tenant` */
  readonly long: string;
  /** What it takes: `pattern` of `<pattern...>`; null: nothing. */
  readonly takes: string | null;
  /** Takes any number of words, to the next flag. */
  readonly isMany: boolean;
  readonly description: string;
}

/** A command's own word: `run` of `<run>`. */
export interface LineArgument {
  readonly takes: string;
  readonly isMany: boolean;
}

/** What can stand where the cursor is. More than one of these: a further value of a flag, or another flag. */
export interface CursorPlace {
  /** A value of this flag; null: none. */
  readonly valueOf: LineFlag | null;
  readonly argument: LineArgument | null;
  readonly mayBeFlag: boolean;
  /** The part of the word before what is completed: `--output=`. */
  readonly prefix: string;
  /** What was typed of what is completed. */
  readonly text: string;
  /** Values and arguments that were typed before. */
  readonly taken: readonly string[];
  /** Long names of the flags that were given. */
  readonly given: ReadonlySet<string>;
}

/** Reads commander's notation: `-t, --tenant <pattern...>`. */
export function readFlag({ flags, description }: { readonly flags: string; readonly description: string }): LineFlag {
  const long = /--[a-z][a-z-]*/.exec(flags)?.[0] ?? '';
  const short = /^-[a-zA-Z](?=[, ]|$)/.exec(flags)?.[0] ?? null;
  const argument = readArguments(flags)[0];
  return { short, long, takes: argument?.takes ?? null, isMany: argument?.isMany ?? false, description };
}

/** `<name...>`, `[run]`: in the order in which they are typed. */
export function readArguments(notation: string): readonly LineArgument[] {
  return [...notation.matchAll(/[<[](.*?)(\.\.\.)?[>\]](?=\s|$)/g)].map(([, takes = '', dots]) => ({
    takes,
    isMany: dots !== undefined,
  }));
}

/** Says what can stand in the last of a command's words (its own name is not among them), which may be empty. */
export function findCursor(
  words: readonly string[],
  flags: readonly LineFlag[],
  ownArguments: readonly LineArgument[],
): CursorPlace {
  const [before, current] = [words.slice(0, -1), words.at(-1) ?? ''];
  const byName = (name: string) => flags.find(({ short, long }) => name === long || name === short);
  const given = new Set<string>();
  const values = new Map<LineFlag, string[]>();
  const positional: string[] = [];
  let open: LineFlag | null = null;
  for (const [index, word] of before.entries()) {
    if (word === '--')
      return argumentAt([...positional, ...before.slice(index + 1)], ownArguments, current, given, false);
    const [name = '', inline] = splitInline(word);
    const flag: LineFlag | undefined =
      open !== null && !open.isMany ? undefined : word.startsWith('-') ? byName(name) : undefined;
    if (flag !== undefined) {
      given.add(flag.long);
      open = flag.takes === null || inline !== undefined ? null : flag;
      if (inline !== undefined) remember(values, flag, inline);
    } else if (open !== null) {
      remember(values, open, word);
      if (!open.isMany) open = null;
    } else if (!word.startsWith('-')) positional.push(word);
  }
  if (open !== null && !(current.startsWith('-') && open.isMany)) {
    const taken = values.get(open) ?? [];
    return { valueOf: open, argument: null, mayBeFlag: false, prefix: '', text: current, taken, given };
  }
  const [name = '', inline] = splitInline(current);
  const flag = inline === undefined ? undefined : byName(name);
  if (flag !== undefined && inline !== undefined) {
    const taken = values.get(flag) ?? [];
    return { valueOf: flag, argument: null, mayBeFlag: false, prefix: `${name}=`, text: inline, taken, given };
  }
  return argumentAt(positional, ownArguments, current, given, true);
}

function argumentAt(
  positional: readonly string[],
  ownArguments: readonly LineArgument[],
  current: string,
  given: ReadonlySet<string>,
  mayBeFlag: boolean,
): CursorPlace {
  const last = ownArguments.at(-1);
  const next = ownArguments[positional.length] ?? (last?.isMany ? last : undefined);
  const argument = current.startsWith('-') && mayBeFlag ? null : (next ?? null);
  return { valueOf: null, argument, mayBeFlag, prefix: '', text: current, taken: positional, given };
}

/** `--flag=value` in its two parts; a short flag has no such form. */
function splitInline(word: string): readonly string[] {
  const at = word.startsWith('--') ? word.indexOf('=') : -1;
  return at === -1 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}

function remember(values: Map<LineFlag, string[]>, flag: LineFlag, value: string): void {
  values.set(flag, [...(values.get(flag) ?? []), value]);
}

/**
 * What samples say of one tenant: one sample, or several in a row between which nothing of it changed. Times are
 * milliseconds since 1970.
 */
export interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly samples: number;
  readonly longestGapMs: number;
  /** Only grow, as long as nobody resets them. Of a schema: rows written, scans. Of a database: sessions, active time. */
  readonly before: readonly number[];
  /** Once tenantctl's own question (the last login) was asked. */
  readonly after: readonly number[];
  /** Another one: the counters were reset, or count for another database or schema of this name. */
  readonly mark: string;
  /** Which tables there are; another one: some came or went. */
  readonly set: string;
  /** When the server was started. */
  readonly started: number;
  /** When the server last saw a scan; null: it does not say. */
  readonly lastScan: number | null;
  /** Somebody was there: a session that is this tenant's own, or that holds locks on its tables. */
  readonly isPresent: boolean;
  /** On disk; null: not known. */
  readonly sizeBytes: number | null;
  /** What the question for the last login gave, where it was asked; its null: nobody ever logged in. */
  readonly login: { readonly at: number | null } | null;
}

const dayMs = 86_400_000;

/** In order of time. Two samples that overlap (two runs at once) are one: each has seen the other's own questions. */
export function inOrder(stretches: readonly Stretch[]): readonly Stretch[] {
  const ordered: Stretch[] = [];
  for (const stretch of stretches.toSorted((a, b) => a.from - b.from || a.to - b.to)) {
    const last = ordered.at(-1);
    if (last === undefined || stretch.from >= last.to) ordered.push(stretch);
    else if (last.samples === 1 && last.mark === stretch.mark) ordered[ordered.length - 1] = asOne(last, stretch);
    // Within a longer stretch it says nothing new; what it says of the time after that counts from there on.
    else if (stretch.to > last.to) ordered.push({ ...stretch, from: stretch.to, before: stretch.after });
    else if (stretch.isPresent) ordered[ordered.length - 1] = { ...last, isPresent: true };
  }
  return ordered;
}

function asOne(first: Stretch, second: Stretch): Stretch {
  const isPresent = first.isPresent || second.isPresent;
  const login = second.login ?? first.login;
  const { from, before } = first;
  return second.to > first.to
    ? { ...second, from, before, samples: 1, isPresent, login }
    : { ...first, isPresent, login };
}

/** The same in fewer words: neighbours of one day (UTC) between which nothing changed become one. */
export function foldStretches(stretches: readonly Stretch[]): readonly Stretch[] {
  const folded: Stretch[] = [];
  for (const stretch of inOrder(stretches)) {
    const last = folded.at(-1);
    if (last === undefined || !isOneDay(last, stretch) || !isUnchanged(last, stretch)) folded.push(stretch);
    else {
      folded[folded.length - 1] = {
        ...stretch,
        from: last.from,
        samples: last.samples + stretch.samples,
        longestGapMs: Math.max(last.longestGapMs, stretch.longestGapMs, stretch.from - last.to),
        login: stretch.login ?? last.login,
      };
    }
  }
  return folded;
}

function isOneDay(a: Stretch, b: Stretch): boolean {
  return Math.floor(a.from / dayMs) === Math.floor(b.to / dayMs);
}

function isUnchanged(a: Stretch, b: Stretch): boolean {
  const counts = JSON.stringify(a.before);
  return (
    [a.after, b.before, b.after].every((each) => JSON.stringify(each) === counts) &&
    a.mark === b.mark &&
    a.set === b.set &&
    a.started === b.started &&
    !a.isPresent &&
    !b.isPresent
  );
}

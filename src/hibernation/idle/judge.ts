import { inOrder, type Stretch } from './stretch.ts';

/** When tenantctl itself was at work in a tenant: what grew there then is nobody's. Milliseconds since 1970. */
export interface OwnWork {
  readonly from: number;
  readonly to: number;
  /** It changes no rows: rows that were written meanwhile are somebody else's. */
  readonly readsOnly: boolean;
}

export interface UseFacts {
  readonly stretches: readonly Stretch[];
  readonly ownWork: readonly OwnWork[];
  /** Its first counter is rows written. False: a database, where each session of tenantctl counts as one. */
  readonly countsWrites: boolean;
}

export interface UseLimits {
  /** Milliseconds without any use. */
  readonly afterMs: number;
  /** At least so many samples in that time. */
  readonly samples: number;
}

/**
 * `unseen`: no sample; `young`: not watched for long enough; `few`: too few samples; `hole`: too long without one;
 * `lost`: counters were reset, or tables came and went; `own`: tenantctl's own work hides too much; `restarts`: so do
 * restarts of the server.
 */
export type UnknownWhy = 'unseen' | 'young' | 'few' | 'hole' | 'lost' | 'own' | 'restarts';

/** Times: milliseconds since 1970. `lastUse` null: none was seen. */
export type UseVerdict =
  | { readonly state: 'in-use'; readonly lastUse: number }
  | { readonly state: 'idle'; readonly since: number; readonly lastUse: number | null }
  | {
      readonly state: 'unknown';
      readonly why: UnknownWhy;
      /** Watched since then. */
      readonly since: number | null;
      /** When it can be known; null: that depends on what is sampled. */
      readonly knowableAt: number | null;
      readonly lastUse: number | null;
    };

/** What happened between two samples: `quiet` alone proves that nothing did. */
type BetweenKind = 'quiet' | 'used' | 'own' | 'restarts' | 'lost' | 'hole';

interface Between {
  readonly from: number;
  readonly to: number;
  readonly kind: BetweenKind;
  readonly usedAt: number | null;
}

/** Counters of a session reach the others up to a minute late. */
const lateMs = 60_000;

/** So much of the time may pass without proof at a stretch, and so much in all. */
const longestHole = 1 / 4;
const mostUnproven = 1 / 2;

/** Whether a tenant was used. Whatever is not proved is not idle. */
export function judgeUse(facts: UseFacts, limits: UseLimits, now: number): UseVerdict {
  const stretches = inOrder(facts.stretches);
  const first = stretches[0];
  const last = stretches.at(-1);
  if (first === undefined || last === undefined) return unknown('unseen', null, null, null);
  const betweens = lookBetween(facts, limits.afterMs);
  const uses = [...betweens.flatMap(({ usedAt }) => usedAt ?? []), ...stretches.flatMap(presence)];
  const lastUse = uses.length === 0 ? null : uses.reduce((a, b) => Math.max(a, b));
  const begin = now - limits.afterMs;
  if (lastUse !== null && lastUse >= begin) return { state: 'in-use', lastUse };
  const lost = betweens.findLast(({ kind }) => kind === 'lost');
  const since = lost?.to ?? first.from;
  if (since > begin) return unknown(lost === undefined ? 'young' : 'lost', since, since + limits.afterMs, lastUse);
  const doubt = findDoubt([...betweens, { from: last.to, to: now, kind: 'hole', usedAt: null }], begin, limits, now);
  if (doubt !== null) return unknown(doubt.why, since, doubt.knowableAt, lastUse);
  const inTime = stretches.reduce(
    (sum, { from, to, samples }) => sum + (from >= begin ? samples : to >= begin ? 1 : 0),
    0,
  );
  if (inTime < limits.samples) return unknown('few', since, null, lastUse);
  return { state: 'idle', since: Math.max(since, lastUse ?? since), lastUse };
}

/** What of the stretches still matters: nothing before the last use that is beyond doubt, nor what is very old. */
export function forgetOld(facts: UseFacts, limits: UseLimits, now: number): readonly Stretch[] {
  const stretches = inOrder(facts.stretches);
  const edges = boundaries(facts, limits.afterMs);
  const used = edges.findLastIndex(({ usedAt }) => usedAt !== null);
  const old = stretches.findLastIndex(({ to }) => to < now - 2 * limits.afterMs);
  // The one before the use stays: without it there would be nothing to see the use by.
  return stretches.slice(Math.max(used, old, 0));
}

function unknown(why: UnknownWhy, since: number | null, knowableAt: number | null, lastUse: number | null): UseVerdict {
  return { state: 'unknown', why, since, knowableAt, lastUse };
}

function presence({ isPresent, to }: Stretch): readonly number[] {
  return isPresent ? [to] : [];
}

/** From the first sample to the last one. */
function lookBetween(facts: UseFacts, afterMs: number): readonly Between[] {
  const stretches = inOrder(facts.stretches);
  const edges = boundaries(facts, afterMs);
  return stretches.flatMap(({ from, to, samples, longestGapMs }, index): Between[] => {
    const kind = longestGapMs > afterMs * longestHole ? 'hole' : 'quiet';
    const inside: Between[] = samples > 1 ? [{ from, to, kind, usedAt: null }] : [];
    const edge = edges[index];
    return edge === undefined ? inside : [...inside, edge];
  });
}

/** What lies between each stretch and the next one. */
function boundaries(facts: UseFacts, afterMs: number): readonly Between[] {
  const stretches = inOrder(facts.stretches);
  return stretches.slice(1).map((next, index) => {
    const before = stretches[index] as Stretch;
    const kind = kindBetween(before, next, facts);
    const isLong = kind === 'quiet' && next.from - before.to > afterMs * longestHole;
    const usedAt = kind === 'used' ? timeOfUse(before, next) : null;
    return { from: before.to, to: next.from, kind: isLong ? 'hole' : kind, usedAt };
  });
}

function kindBetween(a: Stretch, b: Stretch, facts: UseFacts): BetweenKind {
  if (a.mark !== b.mark) return 'lost';
  const own = facts.ownWork.filter(({ from, to }) => from - lateMs < b.from && to + lateMs > a.to);
  const isOwn = own.length > 0;
  const grew = b.before.map((count, index) => count - (a.after[index] ?? 0));
  if (a.set !== b.set || grew.some((by) => by < 0)) return isOwn ? 'own' : 'lost';
  // Another server may have taken over under the same name, with counters of its own.
  if (grew.every((by) => by === 0)) return a.started === b.started ? 'quiet' : 'restarts';
  const isWritten = facts.countsWrites && (grew[0] ?? 0) > 0 && own.every(({ readsOnly }) => readsOnly);
  return isOwn && !isWritten ? 'own' : 'used';
}

/** At the latest. The time of the last scan is more exact, where nothing but scans was counted. */
function timeOfUse(a: Stretch, b: Stretch): number {
  const isRead = b.before[0] === a.after[0];
  return isRead && b.lastScan !== null && b.lastScan > a.to && b.lastScan < b.from ? b.lastScan : b.from;
}

interface Doubt {
  readonly why: UnknownWhy;
  readonly knowableAt: number | null;
}

/** Why the time since `begin` is not proved to be quiet; null: it is. */
function findDoubt(betweens: readonly Between[], begin: number, limits: UseLimits, now: number): Doubt | null {
  const whole: { from: number; to: number; why: UnknownWhy }[] = [];
  let unprovenMs = 0;
  let isBroken = true;
  for (const { kind, to, from: wholeFrom } of betweens) {
    const from = Math.max(wholeFrom, begin);
    if (kind === 'quiet' && to > from) isBroken = true;
    if (kind === 'quiet' || to <= from) continue;
    const why = kind === 'used' || kind === 'lost' ? 'hole' : kind;
    unprovenMs += to - from;
    const last = whole.at(-1);
    // One sample alone between two of them proves nothing.
    if (last === undefined || isBroken) whole.push({ from, to, why });
    else last.to = to;
    isBroken = false;
  }
  const longestMs = limits.afterMs * longestHole;
  const long = whole.findLast(({ from, to }) => to - from > longestMs);
  if (long !== undefined) {
    const isOpen = long.to >= now;
    return { why: long.why, knowableAt: isOpen ? null : long.to - longestMs + limits.afterMs };
  }
  const why = whole.at(-1)?.why ?? 'hole';
  return unprovenMs > limits.afterMs * mostUnproven ? { why, knowableAt: null } : null;
}

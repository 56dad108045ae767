import { formatDuration } from '../../fleet/duration.ts';
import type { HibernatePolicy } from '../../fleet/inventory/hibernate.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { SleepWay, TenantSleep } from '../../fleet/tenant-state.ts';
import { judgeUse, type UnknownWhy, type UseFacts, type UseVerdict } from '../../hibernation/idle/judge.ts';
import { exemption, sleepWay, tierOf } from '../../hibernation/idle/policy.ts';
import { sleepWords } from '../sleep-words.ts';

/** `value` of a done outcome. Times RFC 3339 in UTC. */
export interface IdleValue {
  /** `exempt`: the policy lets it never sleep; `asleep`: it does already. */
  readonly verdict: 'in-use' | 'idle' | 'unknown' | 'exempt' | 'asleep';
  /** No use since then; of `unknown`: watched since then; of `asleep`: asleep since then. */
  readonly since: string | null;
  /** At the latest; null: none was seen. */
  readonly lastUse: string | null;
  /** What `hibernate.lastLogin` gave; null: it was not asked, or nobody ever logged in. */
  readonly lastLogin: string | null;
  /** Of `unknown`, `exempt` and `asleep`. */
  readonly why: string | null;
  /** Of `unknown`: when it can be known; null: that depends on what is sampled. */
  readonly knowableAt: string | null;
  /** Samples that are kept of it. */
  readonly samples: number;
  /** On disk; null: not known. */
  readonly sizeBytes: number | null;
  readonly tier: string | null;
  /** How it would sleep. */
  readonly how: SleepWay;
  /** Its whole server, at Amazon RDS, is idle. */
  readonly isWholeServer: boolean;
}

export interface ValueFacts {
  readonly now: number;
  readonly policy: HibernatePolicy;
  readonly sleep: TenantSleep | null;
  readonly facts: UseFacts;
  /** Why nobody can tell, in words; null: its server counts what is needed. */
  readonly uncounted: string | null;
}

const unknownWords: Readonly<Record<UnknownWhy, string>> = {
  unseen: 'no sample was taken yet',
  young: 'watched for too short a time',
  few: 'too few samples',
  hole: 'too long a time without a sample',
  lost: 'its counters were reset, or tables came or went',
  own: 'tenantctl itself was at work there most of the time: sample more often',
  restarts: 'its server was started anew too often',
};

export function toIdleValue(tenant: Tenant, all: ValueFacts): IdleValue {
  const { policy, facts, now, sleep } = all;
  const used = judgeUse(facts, policy, now);
  const inTime = facts.stretches.toSorted((a, b) => a.to - b.to);
  const asked = inTime.findLast((each) => each.login !== null);
  const login = asked?.login?.at ?? null;
  // An answer that is older says too little of today.
  const isAsked = asked !== undefined && asked.to >= now - policy.afterMs / 4;
  return {
    ...judgement(tenant, all, used, { at: login, isAsked }),
    lastUse: timeOf(maximum(used.lastUse, login)),
    lastLogin: timeOf(login),
    samples: facts.stretches.reduce((sum, { samples }) => sum + samples, 0),
    sizeBytes: inTime.at(-1)?.sizeBytes ?? null,
    tier: tierOf(tenant, policy),
    how: sleep?.how ?? sleepWay(tenant, policy, false),
    isWholeServer: false,
  };
}

type Judgement = Pick<IdleValue, 'verdict' | 'since' | 'why' | 'knowableAt'>;

function judgement(
  tenant: Tenant,
  { policy, now, sleep, uncounted }: ValueFacts,
  used: UseVerdict,
  login: { readonly at: number | null; readonly isAsked: boolean },
): Judgement {
  const none = { since: null, why: null, knowableAt: null };
  if (sleep !== null) return { ...none, verdict: 'asleep', since: sleep.since.toISOString(), why: sleepWords(sleep) };
  const exempt = exemption(tenant, policy);
  if (exempt !== null) return { ...none, verdict: 'exempt', why: exempt };
  if (uncounted !== null) return { ...none, verdict: 'unknown', why: uncounted };
  if (used.state === 'in-use') return { ...none, verdict: 'in-use' };
  if (login.at !== null && login.at >= now - policy.afterMs) return { ...none, verdict: 'in-use' };
  const since = timeOf(used.since);
  if (used.state === 'unknown') {
    return { verdict: 'unknown', since, why: wordsOf(used.why, policy), knowableAt: timeOf(used.knowableAt) };
  }
  if (policy.lastLogin !== null && !login.isAsked) {
    return { ...none, verdict: 'unknown', since, why: 'its last login was not asked for yet' };
  }
  return { ...none, verdict: 'idle', since: timeOf(maximum(used.since, login.at)) };
}

function wordsOf(why: UnknownWhy, policy: HibernatePolicy): string {
  if (why === 'young') return `${unknownWords.young}: it takes ${formatDuration(policy.afterMs)}`;
  return why === 'few' ? `${unknownWords.few}: it takes ${policy.samples}` : unknownWords[why];
}

function maximum(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.max(a, b);
}

function timeOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

/** So many tenants, or a share of them. */
export type Share = { readonly count: number } | { readonly percent: number };

/** Reads `5` or `2%`; null when it is neither. */
export function parseShare(text: string): Share | null {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  if (percent !== undefined && Number(percent) <= 100) return { percent: Number(percent) };
  return /^\d+$/.test(text) ? { count: Number(text) } : null;
}

/** How many of `total` a share is: a percentage is rounded up, so that 2% of 3 tenants is one. */
export function resolveShare(share: Share, total: number): number {
  return 'count' in share ? share.count : Math.ceil((share.percent / 100) * total);
}

/** The share as a person writes it. */
export function formatShare(share: Share): string {
  return 'count' in share ? String(share.count) : `${share.percent}%`;
}

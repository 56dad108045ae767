/** `15.18` for 150018. */
export function versionText(versionNum: number): string {
  return `${majorOf(versionNum)}.${versionNum % 10_000}`;
}

/** 15 for `15.18 (Debian 15.18-1)`; NaN when it says none. */
export function majorOfText(version: string): number {
  return Number.parseInt(version, 10);
}

/** 15 for 150018. */
export function majorOf(versionNum: number): number {
  return Math.floor(versionNum / 10_000);
}

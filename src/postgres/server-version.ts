/** `15.18` for 150018. */
export function versionText(versionNum: number): string {
  return `${majorOf(versionNum)}.${versionNum % 10_000}`;
}

/** 15 for 150018. */
export function majorOf(versionNum: number): number {
  return Math.floor(versionNum / 10_000);
}

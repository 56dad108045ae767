/** The region in the name that RDS gives a server (`x.abc.eu-west-1.rds.amazonaws.com`), also within a URL; else null. */
export function regionOfHost(host: string): string | null {
  return /\.([a-z0-9-]+)\.rds\.amazonaws\.com\b/.exec(host.toLowerCase())?.[1] ?? null;
}

/** The region in an ARN; null when it is none. */
export function regionOfArn(arn: string): string | null {
  const [prefix, , , region = ''] = arn.split(':');
  return prefix === 'arn' && region !== '' ? region : null;
}

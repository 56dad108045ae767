import { type HostSettings, isSocket } from './hosts.ts';

/** True when the way to this host does not leave the machine. */
export function isLocalHost(host: HostSettings): boolean {
  const address = host.hostaddr ?? host.host;
  return isSocket(host) || address === 'localhost' || address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address);
}

const network: readonly [string, string] = [
  'its network was changed while it slept',
  'look at its subnet group, its VPC and its security groups in the RDS console',
];
const noSuchServer: readonly [string, string] = [
  'there is no such server in this region',
  'look at `rds` of the server in the inventory: identifier, instance or cluster, region',
];
const wrongState: readonly [string, string] = ['its state does not allow it now', 'run the same command again later'];

/** By code without a trailing `Fault`: what RDS means, and what to do. */
export const rdsMeanings: Readonly<Record<string, readonly [meaning: string, hint: string]>> = {
  DBInstanceNotFound: noSuchServer,
  DBClusterNotFound: noSuchServer,
  InvalidDBInstanceState: wrongState,
  InvalidDBClusterState: wrongState,
  InvalidDBClusterSnapshotState: wrongState,
  InvalidDBShardGroupState: wrongState,
  SnapshotQuotaExceeded: [
    'no snapshot can be taken, the quota of manual snapshots is used up',
    'it was not stopped: remove old snapshots, ask AWS for a higher quota, or stop it without --snapshot',
  ],
  InsufficientDBInstanceCapacity: [
    'AWS has no capacity for its instance class in its availability zone now',
    'run wake again with a longer --wait, or change its instance class or zone in the RDS console',
  ],
  KMSKeyNotAccessible: [
    'the KMS key that its storage is encrypted with cannot be used',
    'enable the key, or give its permission back, before AWS can start the server',
  ],
  AuthorizationNotFound: network,
  DBSubnetGroupNotFound: network,
  DBSubnetGroupDoesNotCoverEnoughAZs: network,
  InvalidSubnet: network,
  InvalidVPCNetworkState: network,
  VpcEncryptionControlViolationException: network,
};

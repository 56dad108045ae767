import { z } from 'zod';
import { durationPattern } from '../duration.ts';

// The shape of tenants.yaml, and the source of schema/tenants.schema.json. A pure check: defaults and conversions are
// in build.ts, because a file that is known to be valid is built without loading zod.

const name = z.string().min(1);

const duration = (what: string) =>
  z
    .string({ error: 'expected a duration such as 30s, 15min or 24h' })
    .regex(durationPattern, { error: 'expected a duration such as 30s, 15min or 24h' })
    .describe(what);

const count = (what: string, most = 10_000) => z.int().min(1).max(most).describe(what);

const searchPath = z
  .array(name)
  .min(1)
  .describe('search_path of a session; {schema} (which comes first) and {id} are filled in');

const role = name.describe(
  'SET ROLE before migrating, so that new objects get the right owner; {schema} and {id} are filled in',
);

const labels = z.record(z.string(), z.string()).describe('Free names and values, for --label');

/** Exactly one of the keys; check.ts says so in words. */
const oneOf = (...keys: readonly string[]) => ({ oneOf: keys.map((key) => ({ required: [key] })) });

const password = z
  .strictObject(
    {
      env: name.describe('Environment variable that holds it').optional(),
      file: name.describe("File that holds it, relative to the inventory's folder").optional(),
      command: z
        .array(name)
        .min(1)
        .describe('Program and arguments; the first line of its output is the password')
        .optional(),
      awsSecret: name.describe('Name or ARN of a secret in AWS Secrets Manager').optional(),
      rdsIam: z.literal(true).describe('A token of RDS IAM authentication').optional(),
    },
    { error: 'expected { env: … }, { file: … }, { command: […] }, { awsSecret: … } or { rdsIam: true }' },
  )
  .describe('How the password is found; without it, PGPASSWORD and .pgpass are tried')
  .meta(oneOf('env', 'file', 'command', 'awsSecret', 'rdsIam'));

const server = z
  .strictObject({
    url: name
      .describe('postgres:// URL or key=value settings as libpq reads them; without it, the PG* variables count')
      .optional(),
    password: password.optional(),
    limits: z
      .strictObject({
        perServer: count('Connections to this server, all databases together').optional(),
        perDatabase: count('Connections to one of its databases').optional(),
      })
      .describe("Narrower than the fleet's, never wider")
      .optional(),
    replica: name
      .describe(
        'A standby of this server, written as url is; the password is found in the same way. For dump --from replica',
      )
      .optional(),
    rds: z
      .strictObject({
        instance: name.describe('DB instance identifier').optional(),
        cluster: name.describe('DB cluster identifier').optional(),
        region: name.describe('AWS region; without it, that of the host name, then AWS_REGION').optional(),
        endpoint: name.describe('URL of an RDS service other than Amazon’s, for tests').optional(),
      })
      .describe('The Amazon RDS instance or Aurora cluster behind this server')
      .meta(oneOf('instance', 'cluster'))
      .optional(),
  })
  .describe('One PostgreSQL server');

const shared = z
  .strictObject({
    server: name.describe('Key of servers'),
    database: name,
    schema: name,
    migrations: name.describe("Its own migrations folder, relative to the inventory's folder"),
  })
  .describe('What all tenants of a database use: migrated once, before its tenants');

const tenant = z
  .strictObject({
    id: name.describe('What you call the tenant everywhere'),
    server: name.describe('Key of servers'),
    database: name,
    schema: name.describe('Its schema in a shared database; without it the database is its own').optional(),
    labels: labels.optional(),
    searchPath: searchPath.optional(),
    role: role.optional(),
  })
  .describe('One tenant');

const discover = z
  .strictObject({
    server: name.describe('Key of servers'),
    database: name.describe('Where to look; for schemas and query').optional(),
    schemas: name.describe('Every schema of the database that matches, * and ? being wildcards').optional(),
    databases: name.describe('Every database of the server that matches, * and ? being wildcards').optional(),
    query: name
      .describe('A query that gives id, server, database, schema (null: a database of its own), labels')
      .optional(),
    id: name.describe('Id of what is found; {match}, {server}, {database} and {schema} are filled in').optional(),
    labels: labels.optional(),
    searchPath: searchPath.optional(),
    role: role.optional(),
  })
  .describe('Tenants that are looked up when a command starts')
  .meta(oneOf('schemas', 'databases', 'query'));

const backupPlace = (what: string) =>
  z
    .union(
      [
        name,
        z.strictObject({
          url: name.describe('A folder, or s3://bucket/prefix'),
          region: name.describe('AWS region').optional(),
          endpoint: name.describe('URL of an S3 service other than Amazon’s').optional(),
          pathStyle: z.boolean().describe('endpoint/bucket/key in place of bucket.endpoint/key').optional(),
          encryption: z.enum(['AES256', 'aws:kms']).describe('Encryption by the S3 service').optional(),
          kmsKey: name.describe('Id or ARN of the key, for aws:kms').optional(),
        }),
      ],
      { error: 'expected a folder, s3://bucket/prefix, or { url: s3://…, region: … }' },
    )
    .describe(what);

const backups = z
  .strictObject({
    to: backupPlace("Where backups go: a folder, relative to the inventory's, or s3://bucket/prefix").optional(),
    copyTo: backupPlace('A second place, such as a bucket in another region').optional(),
    encryptTo: z
      .array(name)
      .min(1)
      .describe('age recipients (age1…): public keys, whose owners alone can open the backups')
      .optional(),
    keep: z
      .strictObject({
        last: count('The newest ones').optional(),
        hourly: count('The newest of each of so many hours').optional(),
        daily: count('The newest of each of so many days').optional(),
        weekly: count('The newest of each of so many weeks').optional(),
        monthly: count('The newest of each of so many months').optional(),
        yearly: count('The newest of each of so many years').optional(),
        within: duration('All that are at most so much older than the newest').optional(),
      })
      .describe('Which backups of a tenant are kept')
      .optional(),
    rpo: duration('How old the newest backup may be').optional(),
    rto: duration('How long a restore may take').optional(),
    checks: z
      .array(name)
      .min(1)
      .describe('SQL that verify runs in each restored tenant; a row that comes back makes the backup a bad one')
      .optional(),
  })
  .describe('Backups');

const share = (what: string) =>
  z
    .union([z.int().min(0), z.string().regex(/^\d+(\.\d+)?%$/)], {
      error: 'expected a number or a percentage such as 2%',
    })
    .describe(what);

const rollout = z
  .strictObject({
    canary: share('So many tenants first; all must succeed').optional(),
    waves: z
      .array(z.union([z.int().min(1), name], { error: 'expected a share (10%, 25) or labels (tier=free)' }))
      .min(1)
      .describe('Shares of the fleet (10%), those of the waves before included, or labels (tier=free)')
      .optional(),
    soak: duration('Pause after a wave, before its health check').optional(),
    healthSql: name
      .describe('Run on every migrated tenant after a wave; a row that comes back stops the run')
      .optional(),
    healthCommand: name.describe('Run by the shell after a wave; an exit code other than 0 stops the run').optional(),
    maxFailures: share('Start no further tenant when so many failed').optional(),
  })
  .describe('How migrations go through the fleet');

const hibernate = z
  .strictObject({
    after: duration('A tenant without any use for so long is idle').meta({ default: '30d' }).optional(),
    samples: count('At least so many samples must have been taken in that time').meta({ default: 20 }).optional(),
    tierLabel: name.describe('The label that tiers are values of').meta({ default: 'tier' }).optional(),
    tiers: z.array(name).describe('Only tenants of these tiers may sleep; empty: all').optional(),
    never: z.array(name).describe('Ids, or patterns with * and ?, of tenants that never sleep').optional(),
    how: z.enum(['archive', 'lock', 'stop', 'pause']).describe('How tenants are put to sleep').optional(),
    lastLogin: name.describe('A query in the tenant that gives the time of its last login').optional(),
  })
  .describe('Which tenants are put to sleep, and when');

export const fileSchema = z
  .strictObject({
    version: z.literal(1).describe('Version of this file format'),
    environment: name
      .describe('Shown in every plan and prompt; the word to type to confirm')
      .meta({ default: 'default' })
      .optional(),
    migrations: name.describe("node-pg-migrate folder, relative to the inventory's").optional(),
    searchPath: searchPath.meta({ default: ['{schema}', 'public'] }).optional(),
    role: role.optional(),
    state: name
      .describe("Run ledger and audit log, relative to the inventory's folder")
      .meta({ default: './.tenantctl' })
      .optional(),
    limits: z
      .strictObject({
        concurrency: count('Batches in work at once in the whole fleet').optional(),
        perServer: count('Connections to one server').optional(),
        perDatabase: count('Connections to one database').optional(),
      })
      .describe('How much happens at once')
      .optional(),
    timeouts: z
      .strictObject({
        connect: duration('Time to make a connection').optional(),
        lock: duration('lock_timeout of a session').optional(),
        statement: duration('statement_timeout of a session').optional(),
        indexBuild: duration('statement_timeout of what works CONCURRENTLY').optional(),
      })
      .describe('How long things may take')
      .optional(),
    rollout: rollout.optional(),
    backups: backups.optional(),
    hibernate: hibernate.optional(),
    drift: z
      .strictObject({
        accepted: name.describe("File of accepted differences, relative to the inventory's folder").optional(),
      })
      .describe('What tenantctl drift looks for')
      .optional(),
    servers: z.record(z.string(), server).describe('The servers, by a name of your choice'),
    shared: z.array(shared).nullish(),
    tenants: z.array(tenant).describe('Tenants by name').nullish(),
    discover: z.array(discover).nullish(),
  })
  .meta({ title: 'tenantctl inventory', description: 'tenants.yaml: who is in the fleet and how to reach it' });

/** tenants.yaml as it stands in the file, once the checks have passed. */
export type RawInventory = z.infer<typeof fileSchema>;

/** The published JSON Schema, for editors; draft 7 is what they understand. */
export function inventoryJsonSchema(): unknown {
  return z.toJSONSchema(fileSchema, { target: 'draft-7' });
}

interface KeywordRule {
  /** The environment variable that gives the default. */
  readonly env?: string;
  /** Accepted and without effect here: tenantctl sets its own, or node-postgres has nothing like it. */
  readonly ignored?: true;
  /** What cannot be honoured is refused, unless the value asks for nothing special. */
  readonly refusedUnless?: readonly string[];
}

/** Every connection keyword of libpq 18, with what becomes of it here. */
const rules = {
  service: { env: 'PGSERVICE' },
  servicefile: { env: 'PGSERVICEFILE' },
  host: { env: 'PGHOST' },
  hostaddr: { env: 'PGHOSTADDR' },
  port: { env: 'PGPORT' },
  dbname: { env: 'PGDATABASE' },
  user: { env: 'PGUSER' },
  password: { env: 'PGPASSWORD' },
  passfile: { env: 'PGPASSFILE' },
  options: { env: 'PGOPTIONS' },
  connect_timeout: { env: 'PGCONNECT_TIMEOUT' },
  target_session_attrs: { env: 'PGTARGETSESSIONATTRS' },
  load_balance_hosts: { env: 'PGLOADBALANCEHOSTS' },
  require_auth: { env: 'PGREQUIREAUTH' },
  channel_binding: { env: 'PGCHANNELBINDING' },
  keepalives: {},
  keepalives_idle: {},
  sslmode: { env: 'PGSSLMODE' },
  sslnegotiation: { env: 'PGSSLNEGOTIATION' },
  sslrootcert: { env: 'PGSSLROOTCERT' },
  sslcert: { env: 'PGSSLCERT' },
  sslkey: { env: 'PGSSLKEY' },
  sslpassword: {},
  sslcertmode: { env: 'PGSSLCERTMODE' },
  sslcrl: { env: 'PGSSLCRL' },
  ssl_min_protocol_version: { env: 'PGSSLMINPROTOCOLVERSION' },
  ssl_max_protocol_version: { env: 'PGSSLMAXPROTOCOLVERSION' },

  application_name: { ignored: true },
  fallback_application_name: { ignored: true },
  client_encoding: { ignored: true },
  keepalives_interval: { ignored: true },
  keepalives_count: { ignored: true },
  tcp_user_timeout: { ignored: true },
  sslcompression: { ignored: true },
  sslkeylogfile: { ignored: true },
  krbsrvname: { ignored: true },
  gsslib: { ignored: true },
  gssdelegation: { ignored: true },
  min_protocol_version: { ignored: true },
  max_protocol_version: { ignored: true },

  sslcrldir: { env: 'PGSSLCRLDIR', refusedUnless: [] },
  sslsni: { env: 'PGSSLSNI', refusedUnless: ['1'] },
  requirepeer: { env: 'PGREQUIREPEER', refusedUnless: [] },
  gssencmode: { env: 'PGGSSENCMODE', refusedUnless: ['disable', 'prefer'] },
  replication: { refusedUnless: ['false', 'off', 'no', '0'] },
  scram_client_key: { refusedUnless: [] },
  scram_server_key: { refusedUnless: [] },
  oauth_issuer: { refusedUnless: [] },
  oauth_client_id: { refusedUnless: [] },
  oauth_client_secret: { refusedUnless: [] },
  oauth_scope: { refusedUnless: [] },
} as const satisfies Record<string, KeywordRule>;

export type Keyword = keyof typeof rules;

/** What somebody set, by keyword. An empty value is a value: it keeps the environment's out, as in libpq. */
export type KeywordMap = ReadonlyMap<Keyword, string>;

/** Never shown, whatever their value. */
export const secretKeywords: readonly Keyword[] = [
  'password',
  'sslpassword',
  'scram_client_key',
  'scram_server_key',
  'oauth_client_secret',
];

export function isKeyword(name: string): name is Keyword {
  return Object.hasOwn(rules, name);
}

/** True when tenantctl cannot do what this setting asks for. */
export function isRefused(keyword: Keyword, value: string): boolean {
  const rule: KeywordRule = rules[keyword];
  return rule.refusedUnless !== undefined && value !== '' && !rule.refusedUnless.includes(value);
}

export function isIgnored(keyword: Keyword): boolean {
  return (rules[keyword] as KeywordRule).ignored === true;
}

/** What the PG* variables set. An empty variable counts as none. */
export function keywordsFromEnv(env: Readonly<Record<string, string | undefined>>): KeywordMap {
  const found = new Map<Keyword, string>();
  for (const [keyword, rule] of Object.entries(rules) as [Keyword, KeywordRule][]) {
    const value = rule.env === undefined ? undefined : env[rule.env];
    if (value !== undefined && value !== '') found.set(keyword, value);
  }
  return found;
}

import { describe, expect, test } from 'vitest';
import { errorOf, loadText, mistakesOf, withServer } from './load-text.ts';

describe('mistakes of shape', () => {
  test('are reported all at once, in the order of the file, with line and column', async () => {
    const error = await errorOf(`version: 2
enviroment: staging
timeouts: { connect: 30, lock: 30days, statement: 60d }
limits: { concurrency: 0, perServer: 1.5, perDatabase: 10001 }
servers:
  main:
    url: 12345
    password: hunter2
    limit: {}
tenants:
  - id: acme
    server: mian
    database: acme
  - [a]
  - id:
backups: { keep: { last: three }, rpo: 1 day, to: 7 }
`);
    expect(error.message).toBe('tenants.yaml has 19 mistakes');
    expect(error.details).toEqual([
      'tenants.yaml:1:10 version: expected 1',
      'tenants.yaml:2:1 enviroment: unknown key: did you mean environment?',
      'tenants.yaml:3:22 timeouts.connect: expected a duration such as 30s, 15min or 24h',
      'tenants.yaml:3:32 timeouts.lock: expected a duration such as 30s, 15min or 24h',
      'tenants.yaml:3:51 timeouts.statement: expected at most 24d',
      'tenants.yaml:4:24 limits.concurrency: expected at least 1',
      'tenants.yaml:4:38 limits.perServer: expected a whole number, got a fraction',
      'tenants.yaml:4:56 limits.perDatabase: expected at most 10000',
      'tenants.yaml:7:10 servers.main.url: expected text, got a number: quote it',
      'tenants.yaml:8:15 servers.main.password: expected { env: … }, { file: … }, { command: […] }, { awsSecret: … } or { rdsIam: true }',
      'tenants.yaml:9:5 servers.main.limit: unknown key: did you mean limits?',
      'tenants.yaml:12:13 tenants[0].server: no server is called "mian": did you mean "main"?',
      'tenants.yaml:14:5 tenants[1]: expected a mapping (key: value), got a list',
      'tenants.yaml:15:5 tenants[2].server: missing: expected text',
      'tenants.yaml:15:5 tenants[2].database: missing: expected text',
      'tenants.yaml:15:8 tenants[2].id: expected text, got nothing',
      'tenants.yaml:16:26 backups.keep.last: expected a whole number, got text',
      'tenants.yaml:16:40 backups.rpo: expected a duration such as 30s, 15min or 24h',
      'tenants.yaml:16:51 backups.to: expected a folder, s3://bucket/prefix, or { url: s3://…, region: … }',
    ]);
  });

  test.each([
    ['', 'tenants.yaml:1:1: expected a mapping (key: value), got nothing'],
    ['[]', 'tenants.yaml:1:1: expected a mapping (key: value), got a list'],
    ['just words', 'tenants.yaml:1:1: expected a mapping (key: value), got text'],
    ['servers: { main: {} }', 'tenants.yaml:1:1 version: missing: expected 1'],
    ['version: 1', 'tenants.yaml:1:1 servers: missing: expected a mapping (key: value)'],
    ['version: 1\nservers: {}', 'tenants.yaml:2:10 servers: expected at least one server'],
    ['version: 1\nservers: { main: }', 'tenants.yaml:2:18 servers.main: expected a mapping (key: value), got nothing'],
    [withServer('searchPath: []'), 'tenants.yaml:3:13 searchPath: expected at least one entry'],
    [withServer('environment: ""'), 'tenants.yaml:3:14 environment: is empty'],
    [withServer('roolout: {}'), 'tenants.yaml:3:1 roolout: unknown key: did you mean rollout?'],
    [withServer('__proto__: {}'), expect.stringMatching(/^tenants.yaml:3:1 __proto__: unknown key/)],
  ])('%j', async (text, mistake) => {
    expect(await mistakesOf(text)).toEqual([mistake]);
  });

  test('what yaml reads as a number or a truth is to be quoted', async () => {
    const row = '- { id: 42, server: main, database: 1e3, schema: 007, labels: { vip: true } }';
    expect(await mistakesOf(withServer(`tenants:\n${row}\n`))).toEqual([
      'tenants.yaml:4:9 tenants[0].id: expected text, got a number: quote it',
      'tenants.yaml:4:37 tenants[0].database: expected text, got a number: quote it',
      'tenants.yaml:4:50 tenants[0].schema: expected text, got a number: quote it',
      'tenants.yaml:4:70 tenants[0].labels.vip: expected text, got true or false: quote it',
    ]);
    const quotedRow = '- { id: "42", server: main, database: "1e3", schema: "007", labels: { vip: yes } }';
    expect((await loadText(withServer(`tenants:\n${quotedRow}\n`))).inventory.tenants[0]).toMatchObject({
      id: '42',
      schema: '007',
      labels: { vip: 'yes' },
    });
    // The older YAML reads yes as true; asking for it changes the answer, not the rule.
    const old = `%YAML 1.1\n---\n${withServer('tenants: [{ id: yes, server: main, database: d }]')}`;
    expect(await mistakesOf(old)).toEqual([
      'tenants.yaml:5:17 tenants[0].id: expected text, got true or false: quote it',
    ]);
  });
});

describe('mistakes of yaml', () => {
  test.each([
    ['version: 1\nversion: 1\nservers: { main: {} }', 'tenants.yaml:2:1: this key stands twice in one mapping'],
    [withServer('---\nversion: 1'), 'tenants.yaml:3:1: a second document begins here: an inventory is one document'],
    [withServer('environment: !env NAME'), 'tenants.yaml:3:14: a tag of this kind is not known here: remove it'],
    [withServer('environment: *name'), expect.stringMatching(/^tenants.yaml:3:14: an alias needs its anchor/)],
    [withServer('searchPath: &a [*a]'), expect.stringMatching(/^tenants.yaml:3:17: an alias needs its anchor/)],
    [withServer('limits:\n\tconcurrency: 1'), 'tenants.yaml:4:1: a tab cannot indent: use spaces'],
    [withServer('limits: { concurrency: 1 }}'), 'tenants.yaml:3:27: this is not valid yaml here'],
    [withServer('? [a]\n: b'), 'tenants.yaml:3:3: a key must be plain text'],
    [withServer('environment: @here'), expect.stringMatching(/^tenants.yaml:3:14: a value cannot begin/)],
    [
      withServer('environment: "open'),
      expect.stringMatching(/^tenants.yaml:3:\d+: invalid yaml: missing closing "quote/),
    ],
  ])('%j', async (text, mistake) => {
    expect(await mistakesOf(text)).toEqual([mistake]);
  });

  test('a key that stands twice does not hide other mistakes', async () => {
    expect(await mistakesOf('version: 1\nversion: 1\nservers: { main: { ur: x } }')).toEqual([
      'tenants.yaml:2:1: this key stands twice in one mapping',
      'tenants.yaml:3:20 servers.main.ur: unknown key: did you mean url?',
    ]);
  });

  test.each(['url: "postgres://u:hunter2@h', 'url: {hunter2}}', 'url: |hunter2', 'url: hunter2: x', 'url: [hunter2'])(
    'never repeats what stands there: %s',
    async (line) => {
      const error = await errorOf(`version: 1\nservers:\n  main:\n    ${line}\n`);
      expect(error.details.length).toBeGreaterThan(0);
      expect(JSON.stringify([error.message, error.details, error.hint])).not.toContain('hunter2');
    },
  );
});

describe('servers', () => {
  test('ids, urls and what excludes each other', async () => {
    const mistakes = await mistakesOf(`version: 1
servers:
  __proto__: {}
  "a,b": {}
  -x: {}
  main: { url: "mysql://u:hunter2@h" }
  two: { password: { env: A, file: b }, rds: {} }
  three: { password: {}, rds: { instance: a, cluster: b } }
  four: { password: { rdsIam: false, command: [] } }
`);
    expect(mistakes).toEqual([
      'tenants.yaml:3:3 servers.__proto__: this name cannot be used for a server',
      'tenants.yaml:4:3 servers["a,b"]: "a,b" holds a comma',
      'tenants.yaml:5:3 servers["-x"]: "-x" begins with "-", like a flag',
      'tenants.yaml:6:16 servers.main.url: expected postgres://… or key=value settings',
      'tenants.yaml:7:20 servers.two.password: expected one of env, file, command, awsSecret, rdsIam; got env and file',
      'tenants.yaml:7:46 servers.two.rds: expected one of instance, cluster; got none of them',
      'tenants.yaml:8:22 servers.three.password: expected one of env, file, command, awsSecret, rdsIam; got none of them',
      'tenants.yaml:8:31 servers.three.rds: expected one of instance, cluster; got instance and cluster',
      'tenants.yaml:9:21 servers.four.password: expected one of env, file, command, awsSecret, rdsIam; got command and rdsIam',
      'tenants.yaml:9:31 servers.four.password.rdsIam: expected true',
      'tenants.yaml:9:47 servers.four.password.command: expected at least one entry',
    ]);
  });
});

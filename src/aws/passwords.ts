import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Signer } from '@aws-sdk/rds-signer';
import { TenantError } from '../errors.ts';
import { awsError } from './aws-errors.ts';
import { regionOfArn, regionOfHost } from './region.ts';

export interface PasswordAccess {
  /** Null: the default chain. */
  readonly profile: string | null;
  /** Of Secrets Manager, for tests; null: Amazon's. */
  readonly endpoint: string | null;
  /** That the inventory gives to a server; null: none. */
  readonly regionOf: (serverId: string) => string | null;
}

/** One login, as a connection asks for its password. */
export interface Login {
  readonly serverId: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

const secretMeanings: Readonly<Record<string, readonly [meaning: string, hint: string]>> = {
  ResourceNotFoundException: [
    'there is no such secret in this region',
    'look at password.awsSecret in the inventory; an ARN names its region, a name is looked for in that of the server',
  ],
  DecryptionFailure: [
    'its KMS key cannot be used',
    'allow kms:Decrypt on the key of the secret, or enable the key again',
  ],
};

/** Passwords that AWS keeps or makes, for the servers of one inventory. */
export class AwsPasswords {
  readonly #access: PasswordAccess;
  readonly #clients = new Map<string | null, SecretsManagerClient>();
  readonly #signers = new Map<string, Signer>();

  constructor(access: PasswordAccess) {
    this.#access = access;
  }

  /** From Secrets Manager: the whole secret, or `password` of the JSON that RDS keeps there. `id`: a name or an ARN. */
  async readSecret(id: string, login: Login): Promise<string> {
    const region = regionOfArn(id) ?? this.#regionOf(login);
    const what = `server ${login.serverId}: secret ${id}${region === null ? '' : ` (${region})`}`;
    try {
      const { SecretString, SecretBinary } = await this.#client(region).send(
        new GetSecretValueCommand({ SecretId: id }),
      );
      const text = SecretString ?? new TextDecoder().decode(SecretBinary ?? new Uint8Array());
      return passwordIn(text, what);
    } catch (error) {
      if (error instanceof TenantError) throw error;
      const request = { what, doing: 'reading it', action: 'secretsmanager:GetSecretValue' };
      throw awsError(error, request, secretMeanings);
    }
  }

  /** A token that opens connections for fifteen minutes, made here: AWS is only asked for credentials. */
  async makeToken(login: Login): Promise<string> {
    try {
      return await this.#signer(login).getAuthToken();
    } catch (error) {
      const what = `server ${login.serverId}: IAM token of user ${login.user}`;
      throw awsError(error, { what, doing: 'signing it', action: 'rds-db:connect' });
    }
  }

  #regionOf({ serverId, host }: Login): string | null {
    return this.#access.regionOf(serverId) ?? regionOfHost(host);
  }

  #client(region: string | null): SecretsManagerClient {
    const known = this.#clients.get(region);
    if (known !== undefined) return known;
    const { profile, endpoint } = this.#access;
    const client = new SecretsManagerClient({
      ...(region !== null && { region }),
      ...(endpoint !== null && { endpoint }),
      ...(profile !== null && { profile }),
      requestHandler: { connectionTimeout: 10_000, requestTimeout: 30_000, throwOnRequestTimeout: true },
    });
    this.#clients.set(region, client);
    return client;
  }

  /** It keeps the credentials, not the token. */
  #signer(login: Login): Signer {
    const { serverId, host: hostname, port, user: username } = login;
    const key = JSON.stringify([serverId, hostname, port, username]);
    const known = this.#signers.get(key);
    if (known !== undefined) return known;
    const region = this.#regionOf(login);
    const { profile } = this.#access;
    const signer = new Signer({
      ...{ hostname, port, username },
      ...(region !== null && { region }),
      ...(profile !== null && { profile }),
    });
    this.#signers.set(key, signer);
    return signer;
  }
}

function passwordIn(text: string, what: string): string {
  const { password = null } = readJson(text) ?? { password: text.replace(/\r?\n$/, '') };
  if (typeof password === 'string' && password !== '') return password;
  throw new TenantError({
    message: `${what}: it holds no password`,
    code: 'password-missing',
    hint: 'it must be the password alone, or JSON with a key "password" as RDS writes it',
  });
}

/** Null: not a JSON object, so the text itself. */
function readJson(text: string): { readonly password?: unknown } | null {
  if (!text.trimStart().startsWith('{')) return null;
  try {
    return JSON.parse(text) as { password?: unknown };
  } catch {
    return null;
  }
}

import type { RdsApi } from '../../aws/rds-api.ts';
import { regionOfHost } from '../../aws/region.ts';
import type { Context } from '../../context.ts';
import type { ServerConfig } from '../../fleet/inventory/types.ts';

export interface RdsAccess {
  /** `--profile`; null: AWS_PROFILE, then the default chain. */
  readonly profile: string | null;
  readonly env: Context['env'];
}

/** Clients of the RDS API, one a region and endpoint. The AWS SDK is loaded when the first one is asked for. */
export class RdsClients {
  readonly #access: RdsAccess;
  readonly #clients = new Map<string, Promise<RdsApi>>();

  constructor(access: RdsAccess) {
    this.#access = access;
  }

  /** The same client for servers of one region. */
  of({ url, rds }: ServerConfig): Promise<RdsApi> {
    const { env } = this.#access;
    const options = {
      region: rds?.region ?? regionOfHost(url ?? '') ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? null,
      endpoint: rds?.endpoint ?? env.AWS_ENDPOINT_URL_RDS ?? env.AWS_ENDPOINT_URL ?? null,
      profile: this.#access.profile ?? env.AWS_PROFILE ?? null,
    };
    const key = JSON.stringify(options);
    const known = this.#clients.get(key);
    if (known !== undefined) return known;
    const opened = import('../../aws/rds-api.ts').then(({ openRdsApi }) => openRdsApi(options));
    this.#clients.set(key, opened);
    return opened;
  }

  /** Lets go of the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of await Promise.allSettled(this.#clients.values())) {
      if (client.status === 'fulfilled') client.value.close();
    }
  }
}

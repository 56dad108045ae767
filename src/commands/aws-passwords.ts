import type { AwsPasswords } from '../aws/passwords.ts';
import type { Context } from '../context.ts';
import type { Inventory } from '../fleet/inventory/types.ts';
import type { PasswordProvider } from '../postgres/settings/password-sources.ts';

/** `awsSecret` and `rdsIam`. The AWS SDK is loaded when the first of these passwords is asked for. */
export function awsPasswordProviders(
  env: Context['env'],
  inventory: Inventory,
): { readonly awsSecret: PasswordProvider; readonly rdsIam: PasswordProvider } {
  let loaded: Promise<AwsPasswords> | null = null;
  const load = () => {
    loaded ??= import('../aws/passwords.ts').then(
      ({ AwsPasswords }) =>
        new AwsPasswords({
          profile: env.AWS_PROFILE ?? null,
          endpoint: env.AWS_ENDPOINT_URL_SECRETS_MANAGER ?? env.AWS_ENDPOINT_URL ?? null,
          regionOf: (server) => inventory.servers.get(server)?.rds?.region ?? null,
        }),
    );
    return loaded;
  };
  return {
    awsSecret: async (request) => {
      const passwords = await load();
      return passwords.readSecret('awsSecret' in request.source ? request.source.awsSecret : '', request);
    },
    rdsIam: async (request) => (await load()).makeToken(request),
  };
}

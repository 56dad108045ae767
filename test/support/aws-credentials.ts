import { beforeEach, vi } from 'vitest';

export const awsSecretKey = 'wJalrXUtnFEMI-the-secret-key';

/** The AWS SDK finds these, and nothing of this machine, in each test of the file that calls it. */
export function withAwsCredentials(): void {
  beforeEach(() => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIATEST');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', awsSecretKey);
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    vi.stubEnv('AWS_REGION', 'eu-west-1');
    vi.stubEnv('AWS_CONFIG_FILE', '/nowhere/config');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nowhere/credentials');
    return () => vi.unstubAllEnvs();
  });
}

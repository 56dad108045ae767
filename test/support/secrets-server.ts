import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface SecretsServer {
  readonly url: string;
  /** By name or ARN. */
  readonly secrets: Map<string, string | Uint8Array>;
  /** Each request: what was asked for, and the region that it was signed for. */
  readonly asked: { readonly id: string; readonly region: string }[];
  /** The code of all answers; null: it answers. */
  fault: string | null;
}

/** A service that speaks as much of Secrets Manager as reading a password needs. Lives until the test has ended. */
export async function startSecretsServer(): Promise<SecretsServer> {
  const service = { url: '', secrets: new Map<string, string | Uint8Array>(), asked: [] as SecretsServer['asked'] };
  const state: SecretsServer = { ...service, fault: null };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { SecretId: id } = JSON.parse(Buffer.concat(chunks).toString()) as { SecretId: string };
    const [, region = ''] = /Credential=[^/]+\/\d+\/([^/]+)\//.exec(request.headers.authorization ?? '') ?? [];
    state.asked.push({ id, region });
    const secret = state.secrets.get(id);
    const code = state.fault ?? (secret === undefined ? 'ResourceNotFoundException' : null);
    const body =
      code !== null
        ? { __type: code, Message: `${code} it is` }
        : typeof secret === 'string'
          ? { Name: id, SecretString: secret }
          : { Name: id, SecretBinary: Buffer.from(secret ?? []).toString('base64') };
    response.writeHead(code === null ? 200 : 400, { 'content-type': 'application/x-amz-json-1.1' });
    response.end(JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const { port } = server.address() as AddressInfo;
  return Object.assign(state, { url: `http://127.0.0.1:${port}` });
}

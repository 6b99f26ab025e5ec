import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ListClustersResponse, TopologyService } from '@spanmesh/proto/v1/topology';
import { apiGate } from '@spanmesh/runtime/access/api-access';
import { createApiToken, parseApiTokens } from '@spanmesh/runtime/access/api-tokens';
import { systemClock } from '@spanmesh/runtime/clock';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { serverCredentials } from '@spanmesh/runtime/tls/tls-credentials';
import { watchTlsFiles } from '@spanmesh/runtime/tls/tls-files';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { main } from '../main.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';

const logger = createLogger({ level: 'silent', service: 'test' });
const ann = createApiToken({ name: 'ann', role: 'read' });

let parent: string;
const stops: (() => Promise<void>)[] = [];
/** Addresses of the same API: with TLS, and without. */
let secure: string;
let plain: string;

beforeAll(async () => {
  parent = mkdtempSync(join(tmpdir(), 'spanmesh-access-'));
  for (const name of ['a', 'b']) await main(['certs', 'init', join(parent, name)], new RecordingTerminal());
  writeFileSync(file('token'), `${ann.token}\n`);
  const tokens = parseApiTokens('tokens', Buffer.from(ann.line));
  const gate = apiGate(() => tokens);
  const files = watchTlsFiles(
    { ca: file('a/ca.crt'), cert: file('a/api.crt'), key: file('a/api.key') },
    { clock: systemClock, logger },
  );
  secure = await serve({ gate, credentials: serverCredentials(files, 'optional') });
  plain = await serve({ gate });
});
afterAll(async () => {
  for (const stop of stops) await stop();
  rmSync(parent, { recursive: true });
});

const file = (name: string) => join(parent, name);

async function serve(security: object): Promise<string> {
  const server = new GrpcServer(
    { listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST', security },
    { logger },
  ).addService(TopologyService, {
    listClusters: (_: unknown, done: (error: null, answer: ListClustersResponse) => void) =>
      done(null, ListClustersResponse.create()),
  });
  const port = await server.start();
  stops.push(() => server.stop(0));
  return `127.0.0.1:${port}`;
}

/** Runs `spanmesh clusters`: its exit code and what it printed. */
async function clusters(address: string, args: string[], env: Record<string, string> = {}): Promise<[number, string]> {
  const terminal = new RecordingTerminal({ SPANMESH_ADDRESS: address, ...env });
  const code = await main(
    ['clusters', '--timeout', '5s', ...args.map((arg) => arg.replace(/^@/, `${parent}/`))],
    terminal,
  );
  expect(terminal.noted + terminal.printed).not.toContain(ann.token);
  return [code, terminal.noted];
}

describe('a command', () => {
  it.each<[string, string[]]>([
    ['a token of a file', ['--ca', '@a/ca.crt', '--token-file', '@token']],
    ['a certificate', ['--ca', '@a/ca.crt', '--cert', '@a/operator.crt', '--key', '@a/operator.key']],
  ])('is let in with %s', async (_, args) => {
    expect(await clusters(secure, args)).toEqual([0, '']);
  });

  it('takes all these options from the environment as well', async () => {
    const env = { SPANMESH_CA: file('a/ca.crt'), SPANMESH_TOKEN: ann.token };
    expect(await clusters(secure, [], env)).toEqual([0, '']);
    const files = { SPANMESH_CA: file('a/ca.crt'), SPANMESH_TOKEN_FILE: file('token') };
    expect(await clusters(secure, [], files)).toEqual([0, '']);
    // A typed option wins over the environment.
    expect(await clusters(secure, ['--token-file', '@token'], { ...env, SPANMESH_TOKEN: 'x' })).toEqual([0, '']);
  });

  it('shows a token without TLS only to the loopback address', async () => {
    expect(await clusters(plain, ['--token-file', '@token'])).toEqual([0, '']);
    expect(await clusters('192.0.2.1:7987', ['--token-file', '@token'])).toEqual([
      2,
      'spanmesh: a token is only sent over TLS, or to this host: give --ca, the CA of the API, too\n',
    ]);
  });

  it.each<[string, () => Promise<[number, string]>, number, RegExp]>([
    [
      'nothing is shown',
      () => clusters(secure, ['--ca', '@a/ca.crt']),
      1,
      /^spanmesh: The API needs a token .* Give --token-file \(or SPANMESH_TOKEN\), or --cert and --key\.\n$/,
    ],
    [
      'the token is wrong',
      () => clusters(secure, ['--ca', '@a/ca.crt'], { SPANMESH_TOKEN: 'x' }),
      1,
      /^spanmesh: This token is not known here\. Give/,
    ],
    [
      'the CA is another',
      () => clusters(secure, ['--ca', '@b/ca.crt', '--token-file', '@token']),
      1,
      /^spanmesh: the certificate of 127\.0\.0\.1:\d+ is not trusted: --ca must be the CA that has signed it/,
    ],
    [
      'the CA is nobody of the system',
      () => clusters(secure, ['--ca', 'system', '--token-file', '@token']),
      1,
      /is not trusted: --ca must be/,
    ],
    [
      'TLS is spoken to where there is none',
      () => clusters(plain, ['--ca', '@a/ca.crt']),
      1,
      /does not speak TLS: leave out --ca/,
    ],
    ['TLS is not spoken to where there is', () => clusters(secure, []), 1, /if it has TLS, give --ca/],
    ['there is no such CA', () => clusters(secure, ['--ca', '@none']), 2, /none: there is no such file\n$/],
    ['the CA is none', () => clusters(secure, ['--ca', '@token']), 2, /token: holds no PEM certificate\n$/],
    [
      'the key is missing',
      () => clusters(secure, ['--ca', '@a/ca.crt', '--cert', '@a/operator.crt']),
      2,
      /give both, --cert and --key/,
    ],
    [
      'the key is another',
      () => clusters(secure, ['--ca', '@a/ca.crt', '--cert', '@a/operator.crt', '--key', '@a/reader.key']),
      2,
      /is not the key of/,
    ],
    [
      'a certificate is to be shown without TLS',
      () => clusters(plain, ['--cert', '@a/operator.crt', '--key', '@a/operator.key']),
      2,
      /only shown over TLS/,
    ],
    [
      'the token file holds more than a token',
      () => clusters(secure, ['--ca', '@a/ca.crt', '--token-file', '@a/ca.crt']),
      2,
      /must be one token/,
    ],
  ])('says in one line that %s', async (_, run, code, message) => {
    const [actual, noted] = await run();
    expect(noted).toMatch(message);
    expect(actual).toBe(code);
    expect(noted.split('\n')).toHaveLength(2);
  });
});

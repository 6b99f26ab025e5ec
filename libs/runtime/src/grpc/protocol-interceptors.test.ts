import {
  credentials,
  makeGenericClientConstructor,
  type ServiceDefinition,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { DialClient, DialService, HangupRequest } from '@spanmesh/proto/v1/dial';
import { service as healthService } from 'grpc-health-check';
import { afterEach, describe, expect, it } from 'vitest';
import { createLogger } from '../log/logger.ts';
import { channelOptions } from './grpc-client.ts';
import { GrpcServer } from './grpc-server.ts';
import { sayProtocol } from './protocol-interceptors.ts';
import { ProtocolRule } from './protocol-version.ts';

const logger = createLogger({ level: 'silent', service: 'test' });
let stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.reverse()) await stop();
  stops = [];
});

/** A gateway's service port of version `own`, and the refusals that it has counted. */
async function serve(own: number) {
  const rule = new ProtocolRule({ own }, { logger });
  const server = new GrpcServer(
    { listen: { host: '127.0.0.1', port: 0 }, setting: 'X', protocol: rule },
    { logger },
  ).addService(DialService, {
    hangup: (_: unknown, done: sendUnaryData<object>) => done(null, { closed: true }),
  });
  const address = `127.0.0.1:${await server.start()}`;
  stops.push(() => server.stop(0));
  return { address, rule };
}

/** The status of a call; `speaks` null: the client sends no version. */
async function outcome(address: string, speaks: number | null): Promise<string> {
  const interceptors = speaks === null ? [] : [sayProtocol(speaks)];
  const client = new DialClient(address, credentials.createInsecure(), { ...channelOptions, interceptors });
  stops.push(() => client.close());
  return new Promise((resolve) => {
    client.hangup(HangupRequest.create(), (error: ServiceError | null) =>
      resolve(error === null ? 'OK' : `${status[error.code]}: ${error.details}`),
    );
  });
}

describe('a service port', () => {
  it.each([4, 5, 6])('of version 5 serves callers of version %i', async (speaks) => {
    const { address, rule } = await serve(5);
    expect(await outcome(address, speaks)).toBe('OK');
    expect(rule.refused).toEqual({});
  });

  // Causes: code grpc/protocol-interceptors.ts UNIMPLEMENTED
  it.each([3, 7, 0, null])('of version 5 refuses callers of version %s', async (speaks) => {
    const { address, rule } = await serve(5);
    const said = speaks || 1;
    expect(await outcome(address, speaks)).toMatch(
      new RegExp(`^UNIMPLEMENTED: This service speaks version 5 .* at 127\\.0\\.0\\.1 version ${said}: `),
    );
    expect(rule.refused).toEqual({ 'spanmesh.v1.Dial': 1 });
  });

  it.each([1, 2])('of version %i takes callers without a version for version 1', async (own) => {
    expect(await outcome((await serve(own)).address, null)).toBe('OK');
  });

  it('refuses a version that is no number', async () => {
    const { address } = await serve(1);
    expect(await outcome(address, Number.NaN)).toMatch(/^UNIMPLEMENTED/);
    expect(await outcome(address, 0.5)).toMatch(/^UNIMPLEMENTED/);
  });

  it('answers health checks of any version', async () => {
    const { address } = await serve(9);
    const Health = makeGenericClientConstructor(healthService as ServiceDefinition, 'Health');
    const client = new Health(address, credentials.createInsecure());
    stops.push(() => client.close());
    const answer = await new Promise((resolve) =>
      client.check!({ service: '' }, (_: unknown, reply: unknown) => resolve(reply)),
    );
    expect(answer).toMatchObject({ status: 'SERVING' });
  });
});
